"""The learning rate over a run, as a multiple of its peak."""

from __future__ import annotations

import math

from hyperplane.recipe import ScheduleRecipe


def multiple(schedule: ScheduleRecipe, step: int, steps: int) -> float:
    """Return the multiple of the peak learning rate at `step` of `steps`, in [0, 1].

    All rise linearly over the first `warmup` of the steps. Then: constant stays; cosine falls to `final` along half a
    period (Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts); one-cycle falls linearly (Smith 2018,
    arXiv:1803.09820); trapezoid stays until `hold` of the steps and falls linearly (Hägele et al. 2024,
    arXiv:2405.18392).
    """
    rising = schedule.warmup * steps
    if step < rising:
        return (step + 1) / (rising + 1)
    held = max(rising, schedule.hold * steps) if schedule.name == "trapezoid" else rising
    if schedule.name == "constant" or step < held:
        return 1.0
    done = (step - held) / max(steps - held, 1)
    falling = (1 + math.cos(math.pi * done)) / 2 if schedule.name == "cosine" else 1 - done
    return schedule.final + (1 - schedule.final) * falling
