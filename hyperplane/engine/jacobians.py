"""The residuals of a net over samples, and their derivatives by its weights, for many nets of one kind at once.

Shape suffixes: R restarts, N residuals (samples times the numbers to predict), P weights.
"""

from __future__ import annotations

from torch import Tensor
from torch.func import functional_call, jacrev, vmap

from hyperplane.contracts import Batch
from hyperplane.engine.flat import Flat
from hyperplane.engine.model import Model
from hyperplane.engine.second_order import Jacobian, Residuals


def of(model: Model, flat: Flat, batch: Batch) -> tuple[Residuals, Jacobian]:
    """Return two functions of weights (R, P): the residuals (R, N) of the model's net on a batch, and (R, N, P).

    `flat` says where the net's weights stand; the task has `residuals`.
    """

    def residual_N(weights_P: Tensor, fields: dict[str, Tensor]) -> Tensor:
        some = Batch(fields, batch.index_B)
        said_BK = functional_call(model.net, flat.named(weights_P), (some[model.judge.input],))
        return model.task.residuals(said_BK, some).flatten()  # pyright: ignore[reportCallIssue]

    def one(weights_P: Tensor, fields: dict[str, Tensor]) -> Tensor:
        return residual_N(weights_P, {name: value[None] for name, value in fields.items()})

    per_sample = vmap(jacrev(one), in_dims=(None, 0))
    return (
        vmap(lambda weights_P: residual_N(weights_P, batch.fields)),
        vmap(lambda weights_P: per_sample(weights_P, batch.fields).flatten(0, 1)),
    )
