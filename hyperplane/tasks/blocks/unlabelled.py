"""What tasks that learn from images without labels share: features, and how well their neighbours tell the class.

Labels are used for judging alone, where there are any: each held-out sample is given the class that its nearest others
vote for (Wu et al. 2018, arXiv:1805.01978, section 3.4), itself left out, so that no label of the training split is
seen. Features are what the last linear layer of the net reads.
Shape suffixes: B batch or samples of a split, C channels, H and W pixels, D features, K classes, N neighbours.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane.contracts import Batch, Description, Metric, Output, Said, Sniff
from hyperplane.nets.blocks.chance import ChanceLayer
from hyperplane.recipe import NetRecipe
from hyperplane.tasks.blocks import feature_figures, figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEIGHBOURS, TEMPERATURE = 10, 0.07
"""How many vote, each with exp(cosine / temperature); the temperature is the paper's."""
AT_ONCE = 1024
"""Samples whose cosines to all others are computed together."""
NEIGHBOUR_ACCURACY = Metric(
    *("neighbour_accuracy", "%", "higher", "share of samples given their class by their nearest others' vote"),
    share_of="correct_B",
)


def fits(description: Description) -> Sniff:
    """Return how well learning without labels suits the data, and why."""
    if description.kind != "image" or len(description.shapes[description.input]) != 3:
        return Sniff(0.0, f"the samples are no images, but {description.kind}")
    return Sniff(0.1, "images can be learned from without labels")


def usual_net(description: Description) -> NetRecipe:
    """Return the vision transformer for images of this size: patches of 2 to 16 pixels, for 16 to 250 tokens."""
    side = min(description.shapes[description.input][1:], default=1)
    patch = next((patch for patch, most in ((2, 15), (4, 47), (8, 127)) if side <= most), 16)
    return NetRecipe("vit", {"width": 96, "depth": 6, "heads": 3, "patch": patch, "pool": "mean"})


class Unlabelled(ChanceLayer):
    """A task whose loss needs images alone; `forward` gives features as a tap where the net is in evaluation mode."""

    LABELS, OPTIMIZER = False, "muon"
    LOSS: Metric
    """What its loss is called."""

    def __init__(self, description: Description) -> None:
        super().__init__()
        self.input = description.input
        labelled = description.target == "label_B"  # a class for each pixel is none for the image
        self.classes: tuple[str, ...] = description.classes if labelled else ()
        self.target = description.target if self.classes else None
        self.METRICS = (NEIGHBOUR_ACCURACY, self.LOSS) if self.classes else (self.LOSS,)
        self.encoding = description.encoding

    def __init_subclass__(cls) -> None:
        """Let the class know the metrics that its objects may have."""
        cls.METRICS = (NEIGHBOUR_ACCURACY, cls.LOSS)

    @staticmethod
    def usual(description: Description) -> NetRecipe:
        """Return the net where none is named."""
        return usual_net(description)

    def predict(self, net: nn.Module, batch: Batch) -> Tensor:
        """Return what the net says of whole images, (B, outputs): an embedding, linear in the features."""
        return net(batch.fields[self.input])

    def judged(self, net: nn.Module, batch: Batch, loss_B: Tensor) -> Output:
        """Return the output in evaluation: the embedding as prediction, the features as a tap."""
        said_BK, feature_BD = features(net, batch.fields[self.input])
        return Output(loss_B, said_BK, {}, {"features": feature_BD})

    def statistics(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Return loss_B and feature_BD, and label_B where there are labels."""
        found = {"loss_B": output.loss_B.float(), "feature_BD": output.taps["features"].float()}
        return found if self.target is None else {**found, "label_B": batch.fields[self.target]}

    def relate(self, statistics: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the statistics of a split with plane_B2, the features' first two principal components, in their place.

        Where there are labels: neighbour_B, the class that a sample's nearest others vote for, confidence_B, its share
        of the votes, and correct_B.
        """
        feature_BD = statistics["feature_BD"]
        found = {name: value for name, value in statistics.items() if name != "feature_BD"}
        found["plane_B2"] = plane(feature_BD)
        if self.target is not None:
            vote_BK = votes(feature_BD, statistics["label_B"], len(self.classes))
            found["confidence_B"], found["neighbour_B"] = vote_BK.max(dim=1)
            found["correct_B"] = found["neighbour_B"] == statistics["label_B"]
        return found

    def measure(self, statistics: dict[str, Tensor]) -> dict[str, float]:
        """Return the accuracy of the neighbours' vote, a share, where there are labels, and the mean loss."""
        found = {} if self.target is None else {NEIGHBOUR_ACCURACY.name: statistics["correct_B"].double().mean().item()}
        return {**found, self.LOSS.name: statistics["loss_B"].double().mean().item()}

    def decode(self, prediction: Tensor) -> list[dict[str, Any]]:
        """Return each image's embedding, a list of numbers."""
        return [{"embedding": row} for row in prediction.double().tolist()]

    def tell(self, statistics: dict[str, Tensor], which: list[int]) -> list[Said]:
        """Return the true class and that of the neighbours, with its share of the votes; dashes without labels."""
        if self.target is None:
            return [Said("–", "–") for _ in which]
        told = (statistics[name][which].tolist() for name in ("label_B", "neighbour_B", "confidence_B"))
        return [Said(self.classes[label], self.classes[k], share) for label, k, share in zip(*told, strict=True)]

    def draw(self, statistics: dict[str, Tensor]) -> dict[str, Figure]:
        """Return the features on their plane, and where there are labels which classes the neighbours mistake."""
        plane_B2 = statistics["plane_B2"].numpy()
        if self.target is None:
            return {"features": feature_figures.plane(plane_B2)}
        label_B, neighbour_B = (statistics[name].numpy() for name in ("label_B", "neighbour_B"))
        return {
            "features": feature_figures.plane(plane_B2, label_B, self.classes),
            "neighbours": figures.confusion(label_B, neighbour_B, list(self.classes)),
        }


def features(net: nn.Module, image_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Return what a net says of images, (B, outputs), and what its last linear layer reads, (B, D)."""
    layers = [layer for layer in net.modules() if isinstance(layer, nn.Linear)]
    read: list[Tensor] = []
    handle = layers[-1].register_forward_pre_hook(lambda _, given: read.append(given[0])) if layers else None
    said_BK = net(image_BCHW)
    if handle is not None:
        handle.remove()
    return said_BK, (read[-1] if read else said_BK).flatten(1)


def votes(feature_BD: Tensor, label_B: Tensor, classes: int) -> Tensor:
    """Return each sample's share of its nearest others' votes for every class, (B, K): by cosine, itself left out.

    A sample that is alone has no votes.
    """
    unit_BD = F.normalize(feature_BD - feature_BD.mean(dim=0), dim=1)
    vote_BK = torch.zeros(len(unit_BD), classes)
    count = min(NEIGHBOURS, len(unit_BD) - 1)
    for first in range(0, len(unit_BD) if count > 0 else 0, AT_ONCE):
        cosine_bB = unit_BD[first : first + AT_ONCE] @ unit_BD.T
        own_b = torch.arange(len(cosine_bB))
        cosine_bB[own_b, first + own_b] = -math.inf
        cosine_bN, which_bN = cosine_bB.topk(count, dim=1)
        weight_bN = torch.softmax(cosine_bN / TEMPERATURE, dim=1)
        vote_BK[first : first + AT_ONCE].scatter_add_(1, label_B[which_bN], weight_bN)
    return vote_BK


def plane(feature_BD: Tensor) -> Tensor:
    """Return the features' first two principal components, (B, 2), over the standard deviation of the first.

    Of one feature, or of one sample, what is missing is 0. The sign of each is such that its largest value is above 0.
    """
    centred_BD = feature_BD.double() - feature_BD.double().mean(dim=0)
    _, direction_DD = torch.linalg.eigh(centred_BD.T @ centred_BD)
    found_B2 = F.pad(centred_BD @ direction_DD.flip(1)[:, :2], (0, max(0, 2 - centred_BD.shape[1])))
    largest_2 = found_B2.gather(0, found_B2.abs().argmax(dim=0, keepdim=True))
    scale = found_B2[:, 0].square().mean().sqrt().clamp_min(1e-12)
    return (found_B2 * largest_2.sign() / scale).float()
