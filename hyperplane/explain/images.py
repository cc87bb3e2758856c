"""Which figures of a net for images there are, what each needs, and what to say of it.

What the run folder, the net or the data at hand cannot give is left out, and told. Shape suffixes: B images, C
channels, H and W pixels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from hyperplane.contracts import Source
from hyperplane.data import Encoded
from hyperplane.engine.chance import generator
from hyperplane.engine.model import build
from hyperplane.explain import alike, attention, evidence, filters, maps, receptive, samples, walk
from hyperplane.explain.gallery import Drawn
from hyperplane.explain.moving import Film
from hyperplane.explain.samples import Answers, Survey
from hyperplane.explain.subject import Subject
from hyperplane.explain.vision import Vision, first_filters

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 3
"""Right and most wrong samples each that are looked at closely."""
STAGES = 6
"""Of a net that has more, so many are drawn."""
PATCH_STAGES = 3
NEIGHBOURS, PAIRS = 6, 4
SURVEYED, LEAST_SURVEYED, SURVEY_OPERATIONS = 4000, 64, 4e11
"""Training samples that are looked through, and the operations that this may take: some ten seconds of two cores."""
AVERAGED, LEAST_AVERAGED, AVERAGE_OPERATIONS = 64, 4, 3e10
"""Images over which effective receptive fields are averaged, likewise for each stage."""


@dataclass(frozen=True)
class Drawing:
    """A figure is being drawn."""

    what: str


@dataclass(frozen=True)
class LeftOut:
    """Figures that this run has not got."""

    what: str
    why: str
    """One clause."""


Watch = Callable[[Drawing | LeftOut], object]


@dataclass
class Gallery:
    """The figures of a run's net for images, in the order in which they are best looked at."""

    subject: Subject
    vision: Vision
    watch: Watch = lambda event: None
    drawn: dict[str, Drawn] = field(default_factory=dict)
    """By file name without its ending."""
    walk: Film | None = None

    def all(self) -> Gallery:
        """Draw all that there can be, and return it."""
        source = self.subject.source
        if self.filters is None:
            self._leave_out("filters and Gabor fits", "the net has no convolution")
        else:
            self._filters(self.filters)
        if not self.vision.stages:
            self._leave_out("feature maps, receptive fields, Grad-CAM and patches", "the net has no maps")
        if source is None or not self.answers:
            self._without_samples(source)
        else:
            self._samples(source, self.answers)
        return self

    @cached_property
    def filters(self) -> Tensor | None:
        """Return the first convolution's filters, (N, C, h, w)."""
        return first_filters(self.vision.net)

    @cached_property
    def answers(self) -> Answers | None:
        """Return what the net said of the samples that judged it."""
        return Answers.of(self.subject)

    def _filters(self, filter_NChw: Tensor) -> None:
        high, wide = filter_NChw.shape[-2:]
        told = "The first layer's filters: what each looks for at every place of the image."
        if filter_NChw.shape[1] != 3:
            told += " Orange adds, blue takes away."
        self._draw("filters", lambda: filters.bank(filter_NChw), told)
        if high * wide <= filters.LEAST_PIXELS:
            self._leave_out("Gabor fits", f"eight numbers describe any filter of {high} × {wide}")
            return
        before = None
        if self.subject.folder.read_result() is not None:
            before = first_filters(build(self.subject.recipe, self.subject.description).net)
            if before is not None and torch.equal(before.double(), filter_NChw.double().cpu()):
                self._leave_out("Gabor fits", "the first layer's filters were not learned")
                return
        told = "Each filter beside the Gabor function nearest to it, and the share of its mask that this explains; "
        told += "below, the same of random filters."
        self._draw("gabor", lambda: filters.fitted(filter_NChw, filters.compared(filter_NChw, before)), told)

    def _without_samples(self, source: Source | None) -> None:
        """Draw what needs no data."""
        recipe, folder = self.subject.recipe, self.subject.folder
        why = f"{recipe.data.source} is gone or has changed since the training"
        if source is not None:
            why = "the run folder holds no answers of the net"
        elif folder.read_result() is None:
            why = "the run holds imported weights and no data"
        if self.vision.stages:
            chance = generator(0, "noise images")
            count = self._averaged()
            noise = torch.randn(count, *self.vision.shape, generator=chance).to(self.vision.like)
            self._receptive(noise, "noise, as there are no images")
        self._leave_out("all that needs images", f"{why}; add pictures to the command to explain these")

    def _samples(self, source: Source, answers: Answers) -> None:
        right, wrong = answers.some_right(SHOWN), answers.most_wrong(SHOWN)
        split, vision = answers.split, self.vision
        first = (right or wrong)[:1]
        if vision.stages:
            image_BCHW = samples.inputs(vision, source, split, first)
            truth = vision.classes[int(answers.label_N[first[0]])]
            self._maps("feature-maps", image_BCHW, f"{truth}, through the net", source.sample_name(split, first[0]))
            self.watch(Drawing("the walk"))
            with torch.no_grad():
                self.walk = walk.film(vision, image_BCHW[0], vision.see(image_BCHW), truth)
            count = min(self._averaged(), len(answers.label_N))
            spread = [k * len(answers.label_N) // count for k in range(count)]
            self._receptive(samples.inputs(vision, source, split, spread), f"{count} {split} images")
        for name, chosen, title, told in (
            ("evidence-right", right, "Right answers, and what speaks for them", "Images that the net sorts rightly"),
            ("evidence-wrong", wrong, "The most wrong answers, and what speaks for them", "The most wrong images"),
        ):
            if chosen:
                told += ", and which pixels speak for what it says (blue) and against it (orange), by three methods."
                self._draw(name, lambda c=chosen, t=title: self._evidence(source, answers, c, t), told)
            else:
                self._leave_out(title[:1].lower() + title[1:], "there are none")
        self.watch(Drawing("training images, looked through"))
        survey = samples.survey(vision, source, vision.some_stages(PATCH_STAGES), self._surveyed())

        def train(index: int) -> np.ndarray:
            return vision.picture(samples.inputs(vision, source, "train", [index])[0])

        def held(index: int) -> np.ndarray:
            return vision.picture(samples.inputs(vision, source, split, [index])[0])

        if vision.stages:
            told = f"Of {len(survey.index_N):,} training images, the patches that excite a channel most, each as large "
            told += "as what its units see; grey lies beyond the edge."
            self._draw("patches", lambda: alike.patches(vision.some_stages(PATCH_STAGES), survey, train), told)
        told = f"Of {len(survey.index_N):,} training images, those nearest in what the last layer reads, by direction; "
        told += "blue ones are of the same class, orange ones of another."
        self._draw("neighbours", lambda: self._neighbours(source, answers, right + wrong, survey, train), told)
        if wrong:
            told = f"The pairs of classes taken for each other most often among the {split} images; "
            told += "under each image its true class, while the net said the other."
            self._draw("confused", lambda: alike.confused(answers, PAIRS, held, vision.classes), told)
        else:
            self._leave_out("the most confused pairs", f"of the {split} images none is wrong")

    def _maps(self, name: str, image_1CHW: Tensor, title: str, where: str) -> None:
        stages = self.vision.some_stages(STAGES)
        with torch.no_grad():
            seen = self.vision.see(image_1CHW)
        picture = self.vision.picture(image_1CHW[0])
        told = f"{where} layer by layer: the {maps.COLUMNS} maps of each that vary most, dark where they are active."
        self._draw(name, lambda: maps.draw(picture, title, stages, seen.maps), told)

    def _receptive(self, image_BCHW: Tensor, over: str) -> None:
        stages = self.vision.some_stages(STAGES)
        told = "Dark: pixels that move the unit in the middle of a layer (mean slope, its square root, over "
        told += f"{over}). Frame: all that it can see."
        self._draw(
            "receptive-fields",
            lambda: receptive.draw(stages, receptive.effective(self.vision, image_BCHW, stages)),
            told,
        )

    def _evidence(self, source: Source, answers: Answers, chosen: list[int], title: str) -> Figure:
        image_BCHW = samples.inputs(self.vision, source, answers.split, chosen)
        found = [evidence.evidence(self.vision, image_CHW) for image_CHW in image_BCHW]
        truths = [self.vision.classes[int(answers.label_N[index])] for index in chosen]
        return evidence.draw(found, truths, self.vision.classes, title)

    def _neighbours(
        self, source: Source, answers: Answers, chosen: list[int], survey: Survey, train: alike.Picture
    ) -> Figure:
        image_BCHW = samples.inputs(self.vision, source, answers.split, chosen)
        with torch.no_grad():
            feature_BD = self.vision.see(image_BCHW).feature_BD.flatten(1).float().cpu()
        which_BK, _ = samples.nearest(feature_BD, survey.feature_ND, NEIGHBOURS)
        queries = [
            (self.vision.picture(image_CHW), self.vision.classes[int(answers.label_N[index])])
            for image_CHW, index in zip(image_BCHW, chosen, strict=True)
        ]
        return alike.neighbours(queries, which_BK, survey, train, self.vision.classes)

    def given(self, encoded: Encoded) -> Gallery:
        """Draw what the net says of given pictures and why, its maps, and what a transformer attends to; return it."""
        if not self.vision.stages:
            self._leave_out("feature maps and Grad-CAM", "the net has no maps")
        for position, (name, file) in enumerate(names(encoded)):
            image_1CHW = encoded.read(position, position + 1)[self.subject.description.input].to(self.vision.like)
            told = f"{name}: what the net says of it, and which pixels speak for that (blue) and against it (orange)."
            self._draw(file, lambda x=image_1CHW, n=name: self._one(x[0], n), told)
            if self.vision.stages:
                self._maps(f"{file}-maps", image_1CHW, f"{name}, through the net", name)
            self.drawn |= {f"{file}-{k}": one for k, one in attention.given(self.subject, image_1CHW, name).items()}
        return self

    def _one(self, image_CHW: Tensor, name: str) -> Figure:
        return evidence.draw_given(evidence.evidence(self.vision, image_CHW), name, self.vision.classes)

    def _draw(self, name: str, figure: Callable[[], Figure], caption: str) -> None:
        self.watch(Drawing(name))
        self.drawn[name] = Drawn(figure(), caption)

    def _leave_out(self, what: str, why: str) -> None:
        self.watch(LeftOut(what, why))

    def _averaged(self) -> int:
        return self.vision.afford(AVERAGE_OPERATIONS, LEAST_AVERAGED, AVERAGED)

    def _surveyed(self) -> int:
        return self.vision.afford(SURVEY_OPERATIONS, LEAST_SURVEYED, SURVEYED)


def names(encoded: Encoded) -> list[tuple[str, str]]:
    """Return the name of each given picture, and what the names of its figures begin with, of each another."""
    found: list[tuple[str, str]] = []
    seen: Counter[str] = Counter()
    for place in encoded.names:
        name = place.replace("\\", "/").rpartition("/")[2]
        file = f"given-{_plain(name)}"
        seen[file] += 1
        found.append((name, f"{file}-n{seen[file]}" if seen[file] > 1 else file))
    return found


def _plain(name: str) -> str:
    """Return a picture's name as that of a file: letters, digits and dashes, without its ending."""
    stem = name.rpartition(".")[0] or name
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in stem).strip("-")
    return kept[:40].rstrip("-") or "picture"
