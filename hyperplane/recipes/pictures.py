"""Pictures as functions I = f(x, y): what depth is worth, when every net is fitted to its limit.

The lecture fits a photograph of 51 x 51 pixels with nets of about as many weights and different depths. It names
neither the photograph nor the activation: ours are scikit-learn's photo-china and tanh; for others, type `hyperplane
train photo-cat --recipe picture_125 --net.activation relu`. The loss is the share of the photograph's variance that is
left unexplained.
Preliminary figures: one thread of an AMD EPYC that others shared, before the solver was settled.
"""

from __future__ import annotations

from typing import Any

from hyperplane.recipe import DataRecipe, NetRecipe, OptimizerRecipe, Recipe, TrainingRecipe


def picture_20_20() -> Recipe:
    """Two layers of 20 units: 501 weights; the lecture's loss is 0.0831.

    Command: hyperplane train photo-china
    Reached: 0.0460 ± 0.0058 unexplained (mean and standard deviation of 3 seeds), trained in 12 s
    """
    return _mlp(20, 20)


def picture_20_20_bypass() -> Recipe:
    """Two layers of 20 units with bypass: 501 weights.

    Command: hyperplane train --recipe picture_20_20_bypass
    Reached: 0.0479 ± 0.0087 unexplained (mean and standard deviation of 3 seeds), trained in 11 s
    """
    return _mlp(20, 20, bypass=True)


def picture_50() -> Recipe:
    """One layer of 50 units: 201 weights; the lecture's loss is 0.365.

    Command: hyperplane train --recipe picture_50
    Reached: 0.0476 ± 0.0028 unexplained (mean and standard deviation of 3 seeds), trained in 4 s
    """
    return _mlp(50)


def picture_100() -> Recipe:
    """One layer of 100 units: 401 weights; the lecture's loss is 0.250.

    Command: hyperplane train --recipe picture_100
    Reached: 0.0523 ± 0.0016 unexplained (mean and standard deviation of 3 seeds), trained in 23 s
    """
    return _mlp(100)


def picture_125() -> Recipe:
    """One layer of 125 units: 501 weights; the lecture's loss is 0.240.

    Command: hyperplane train --recipe picture_125
    Reached: 0.0476 ± 0.0059 unexplained (mean and standard deviation of 3 seeds), trained in 19 s
    """
    return _mlp(125)


def picture_300() -> Recipe:
    """One layer of 300 units, from one set of weights: 1,201 weights; the lecture's loss is 0.192.

    Command: hyperplane train --recipe picture_300
    Reached: 0.0593 ± 0.0115 unexplained (mean and standard deviation of 3 seeds), trained in 23 s
    """
    return _mlp(300, restarts=1)


def picture_14_14_14() -> Recipe:
    """Three layers of 14 units: 477 weights; the lecture's loss is 0.0755.

    Command: hyperplane train --recipe picture_14_14_14
    Reached: 0.0239 ± 0.0048 unexplained (mean and standard deviation of 3 seeds), trained in 23 s
    """
    return _mlp(14, 14, 14)


def picture_14_14_14_bypass() -> Recipe:
    """Three layers of 14 units with bypass: 477 weights.

    Command: hyperplane train --recipe picture_14_14_14_bypass
    Reached: 0.0363 ± 0.0099 unexplained (mean and standard deviation of 3 seeds), trained in 20 s
    """
    return _mlp(14, 14, 14, bypass=True)


def picture_15_15_15() -> Recipe:
    """Three layers of 15 units: 541 weights; the lecture's loss is 0.0593.

    Command: hyperplane train --recipe picture_15_15_15
    Reached: 0.0248 ± 0.0049 unexplained (mean and standard deviation of 3 seeds), trained in 23 s
    """
    return _mlp(15, 15, 15)


def picture_15_15_15_bypass() -> Recipe:
    """Three layers of 15 units with bypass: 541 weights.

    Command: hyperplane train --recipe picture_15_15_15_bypass
    Reached: 0.0513 ± 0.0054 unexplained (mean and standard deviation of 3 seeds), trained in 30 s
    """
    return _mlp(15, 15, 15, bypass=True)


def picture_19_19_19() -> Recipe:
    """Three layers of 19 units: 837 weights; the lecture's loss is 0.0438.

    Command: hyperplane train --recipe picture_19_19_19
    Reached: 0.0363 ± 0.0035 unexplained (mean and standard deviation of 3 seeds), trained in 73 s
    """
    return _mlp(19, 19, 19)


def picture_19_19_19_bypass() -> Recipe:
    """Three layers of 19 units with bypass: 837 weights.

    Command: hyperplane train --recipe picture_19_19_19_bypass
    Reached: 0.0466 ± 0.0088 unexplained (mean and standard deviation of 3 seeds), trained in 119 s
    """
    return _mlp(19, 19, 19, bypass=True)


def picture_10_20_10() -> Recipe:
    """Layers of 10, 20 and 10 units: 471 weights; the lecture's loss is 0.0643.

    Command: hyperplane train --recipe picture_10_20_10
    Reached: 0.0375 ± 0.0125 unexplained (mean and standard deviation of 3 seeds), trained in 10 s
    """
    return _mlp(10, 20, 10)


def picture_10_20_10_bypass() -> Recipe:
    """Layers of 10, 20 and 10 units with bypass: 471 weights.

    Command: hyperplane train --recipe picture_10_20_10_bypass
    Reached: 0.0320 ± 0.0098 unexplained (mean and standard deviation of 3 seeds), trained in 11 s
    """
    return _mlp(10, 20, 10, bypass=True)


def picture_10_20_10_10() -> Recipe:
    """Layers of 10, 20, 10 and 10 units: 581 weights; the lecture's loss is 0.0530.

    Command: hyperplane train --recipe picture_10_20_10_10
    Reached: 0.0284 ± 0.0126 unexplained (mean and standard deviation of 3 seeds), trained in 55 s
    """
    return _mlp(10, 20, 10, 10)


def picture_10_20_10_10_bypass() -> Recipe:
    """Layers of 10, 20, 10 and 10 units with bypass: 581 weights.

    Command: hyperplane train --recipe picture_10_20_10_10_bypass
    Reached: 0.0323 ± 0.0060 unexplained (mean and standard deviation of 3 seeds), trained in 50 s
    """
    return _mlp(10, 20, 10, 10, bypass=True)


def picture_siren() -> Recipe:
    """SIREN, two layers of 20 sines: 501 weights.

    Command: hyperplane train photo-china --net siren
    Reached: 0.1940 ± 0.2820 unexplained (mean and standard deviation of 3 seeds), trained in 30 s
    """
    return _fitted("siren", {"hidden": [20, 20]})


def picture_fourier() -> Recipe:
    """24 random frequencies, then a layer of 10 ReLUs: 501 weights.

    Command: hyperplane train photo-china --net fourier
    Reached: 0.0284 ± 0.0053 unexplained (mean and standard deviation of 3 seeds), trained in 20 s
    """
    return _fitted("fourier", {"features": 24, "sigma": 1.0, "hidden": [10]})


def _mlp(*hidden: int, bypass: bool = False, restarts: int = 2) -> Recipe:
    return _fitted("mlp", {"hidden": list(hidden), "activation": "tanh", "bypass": bypass}, restarts)


def _fitted(net: str, options: dict[str, Any], restarts: int = 2) -> Recipe:
    """Return a recipe that fits a net to the photograph, from several sets of weights.

    By L-BFGS: in the same time it ends two to four times lower than Levenberg-Marquardt from many restarts on these
    nets of hundreds of weights (benchmarks/results/second_order.json).
    """
    return Recipe(
        data=DataRecipe(source="photo-china"),
        net=NetRecipe(net, options),
        optimizer=OptimizerRecipe("l-bfgs", restarts=restarts),
        training=TrainingRecipe(epochs=3000),
    )
