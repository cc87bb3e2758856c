"""What is trained: a net and the task that judges it, as one module."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from hyperplane import nets, tasks
from hyperplane.contracts import Batch, Description, Output, Task
from hyperplane.engine.chance import seeded
from hyperplane.errors import UserError
from hyperplane.recipe import Recipe


class Model(nn.Module):
    """A net and its task; their weights are named `net. ...` and `task. ...`."""

    def __init__(self, net: nn.Module, task: Task) -> None:
        super().__init__()
        self.net = net
        self.task = cast(nn.Module, task)

    def forward(self, batch: Batch, taps: dict[str, Tensor] | None = None) -> Output:
        """Return the task's output for a batch."""
        return self.task(self.net, batch, taps)

    @property
    def judge(self) -> Task:
        """Return the task, as a task."""
        return cast(Task, self.task)


def build(recipe: Recipe, description: Description) -> Model:
    """Return a new model for data of this description, its weights drawn from the recipe's seed.

    Raises UserError for an unknown net, task or option, or a net that cannot read the data.
    """
    assert recipe.task.name is not None and recipe.net.name is not None, "the recipe was completed before"
    with seeded(recipe.seed, "weights"):
        task = tasks.build(recipe.task.name, description, recipe.task.options)
        shape = description.shapes[description.input]
        net = nets.build(recipe.net.name, shape, task.outputs, recipe.net.options)
    accepts: tuple[str, ...] = net.ACCEPTS  # pyright: ignore[reportAssignmentType]
    if description.input not in accepts:
        raise UserError(
            f"net {recipe.net.name}: reads {' or '.join(accepts)}, but {description.name} holds {description.input}; "
            "choose another with --net (hyperplane list nets)"
        )
    return Model(net, task)
