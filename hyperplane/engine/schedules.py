"""The learning rate over a run, as a multiple of its peak."""

from __future__ import annotations

import math

from hyperplane.recipe import ScheduleRecipe


def multiple(schedule: ScheduleRecipe, step: int, steps: int) -> float:
    """Return the multiple of the peak learning rate at `step` of `steps`, in [0, 1].

    All rise linearly over the first `warmup` of the steps. Then: constant stays; cosine falls to `final` along half a
    period (Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts); one-cycle falls linearly (Smith 2018,
    arXiv:1803.09820).
    """
    rising = schedule.warmup * steps
    if step < rising:
        return (step + 1) / (rising + 1)
    if schedule.name == "constant":
        return 1.0
    done = (step - rising) / max(steps - rising, 1)
    falling = 1 - done if schedule.name == "one-cycle" else (1 + math.cos(math.pi * done)) / 2
    return schedule.final + (1 - schedule.final) * falling
