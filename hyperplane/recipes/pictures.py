"""Pictures as functions I = f(x, y): what depth is worth, when every net gets as many iterations of L-BFGS.

The lecture fits a photograph of 51 x 51 pixels with nets of about as many weights and different depths. It names
neither the photograph nor the activation: ours are scikit-learn's photo-china and tanh; for others, type `hyperplane
train photo-cat --recipe picture_125 --net.activation relu`. The loss is the share of the photograph's variance that is
left unexplained. No fit has ended by itself after 3,000 iterations, so it is an upper bound of what the net can do: ten
times as many leave of photo-china 0.027 instead of 0.045 (125 units), 0.024 instead of 0.048 (300), 0.010 instead of
0.020 (20-20). A bypass goes around the second hidden layer and those beyond it: nets of one layer have none.
Figures: one thread of an AMD EPYC that others shared; benchmarks/results/pictures.json.
"""

from __future__ import annotations

from typing import Any

from hyperplane.recipe import DataRecipe, NetRecipe, OptimizerRecipe, Recipe, TrainingRecipe


def picture_20_20() -> Recipe:
    """Two layers of 20 units: 501 weights; the lecture's loss is 0.0831.

    Command: hyperplane train photo-china
    Reached: median 0.0493 of 4 photographs, 0.0181 to 0.1365 (± 0.0564; seeds: one), in at most 31 s
    """
    return _mlp(20, 20)


def picture_20_20_bypass() -> Recipe:
    """Two layers of 20 units with bypass: 501 weights.

    Command: hyperplane train --recipe picture_20_20_bypass
    Reached: median 0.0522 of 4 photographs, 0.0202 to 0.1456 (± 0.0593; seeds: one), in at most 27 s
    """
    return _mlp(20, 20, bypass=True)


def picture_50() -> Recipe:
    """One layer of 50 units: 201 weights; the lecture's loss is 0.365.

    Command: hyperplane train --recipe picture_50
    Reached: median 0.1299 of 4 photographs, 0.0465 to 0.2973 (± 0.1161; seeds: one), in at most 20 s
    """
    return _mlp(50)


def picture_100() -> Recipe:
    """One layer of 100 units: 401 weights; the lecture's loss is 0.250.

    Command: hyperplane train --recipe picture_100
    Reached: median 0.1172 of 4 photographs, 0.0456 to 0.2908 (± 0.1133; seeds: one), in at most 36 s
    """
    return _mlp(100)


def picture_125() -> Recipe:
    """One layer of 125 units: 501 weights; the lecture's loss is 0.240.

    Command: hyperplane train --recipe picture_125
    Reached: median 0.1175 of 4 photographs, 0.0453 to 0.2656 (± 0.1020; seeds: one), in at most 32 s
    """
    return _mlp(125)


def picture_300() -> Recipe:
    """One layer of 300 units, from one set of weights: 1,201 weights; the lecture's loss is 0.192.

    Command: hyperplane train --recipe picture_300
    Reached: median 0.1704 of 4 photographs, 0.0484 to 0.2957 (± 0.1282; seeds: one), in at most 45 s
    """
    return _mlp(300, restarts=1)


def picture_14_14_14() -> Recipe:
    """Three layers of 14 units: 477 weights; the lecture's loss is 0.0755.

    Command: hyperplane train --recipe picture_14_14_14
    Reached: median 0.0397 of 4 photographs, 0.0120 to 0.0866 (± 0.0354; seeds: one), in at most 47 s
    """
    return _mlp(14, 14, 14)


def picture_14_14_14_bypass() -> Recipe:
    """Three layers of 14 units with bypass: 477 weights.

    Command: hyperplane train --recipe picture_14_14_14_bypass
    Reached: median 0.0480 of 4 photographs, 0.0160 to 0.1239 (± 0.0524; seeds: one), in at most 27 s
    """
    return _mlp(14, 14, 14, bypass=True)


def picture_15_15_15() -> Recipe:
    """Three layers of 15 units: 541 weights; the lecture's loss is 0.0593.

    Command: hyperplane train --recipe picture_15_15_15
    Reached: median 0.0325 of 4 photographs, 0.0105 to 0.0945 (± 0.0389; seeds: one), in at most 34 s
    """
    return _mlp(15, 15, 15)


def picture_15_15_15_bypass() -> Recipe:
    """Three layers of 15 units with bypass: 541 weights.

    Command: hyperplane train --recipe picture_15_15_15_bypass
    Reached: median 0.0424 of 4 photographs, 0.0158 to 0.1329 (± 0.0551; seeds: one), in at most 30 s
    """
    return _mlp(15, 15, 15, bypass=True)


def picture_19_19_19() -> Recipe:
    """Three layers of 19 units: 837 weights; the lecture's loss is 0.0438.

    Command: hyperplane train --recipe picture_19_19_19
    Reached: median 0.0230 of 4 photographs, 0.0067 to 0.0757 (± 0.0316; seeds: one), in at most 33 s
    """
    return _mlp(19, 19, 19)


def picture_19_19_19_bypass() -> Recipe:
    """Three layers of 19 units with bypass: 837 weights.

    Command: hyperplane train --recipe picture_19_19_19_bypass
    Reached: median 0.0284 of 4 photographs, 0.0135 to 0.0887 (± 0.0350; seeds: one), in at most 35 s
    """
    return _mlp(19, 19, 19, bypass=True)


def picture_10_20_10() -> Recipe:
    """Layers of 10, 20 and 10 units: 471 weights; the lecture's loss is 0.0643.

    Command: hyperplane train --recipe picture_10_20_10
    Reached: median 0.0327 of 4 photographs, 0.0133 to 0.0968 (± 0.0384; seeds: one), in at most 32 s
    """
    return _mlp(10, 20, 10)


def picture_10_20_10_bypass() -> Recipe:
    """Layers of 10, 20 and 10 units with bypass: 471 weights.

    Command: hyperplane train --recipe picture_10_20_10_bypass
    Reached: median 0.0497 of 4 photographs, 0.0151 to 0.1424 (± 0.0609; seeds: one), in at most 29 s
    """
    return _mlp(10, 20, 10, bypass=True)


def picture_10_20_10_10() -> Recipe:
    """Layers of 10, 20, 10 and 10 units: 581 weights; the lecture's loss is 0.0530.

    Command: hyperplane train --recipe picture_10_20_10_10
    Reached: median 0.0291 of 4 photographs, 0.0104 to 0.0938 (± 0.0384; seeds: one), in at most 38 s
    """
    return _mlp(10, 20, 10, 10)


def picture_10_20_10_10_bypass() -> Recipe:
    """Layers of 10, 20, 10 and 10 units with bypass: 581 weights.

    Command: hyperplane train --recipe picture_10_20_10_10_bypass
    Reached: median 0.0316 of 4 photographs, 0.0132 to 0.1022 (± 0.0415; seeds: one), in at most 35 s
    """
    return _mlp(10, 20, 10, 10, bypass=True)


def picture_siren() -> Recipe:
    """SIREN, two layers of 20 sines: 501 weights.

    Command: hyperplane train photo-china --net siren
    Reached: median 0.0463 of 4 photographs, 0.0150 to 0.0929 (± 0.0353; seeds: one), in at most 36 s
    """
    return _fitted("siren", {"hidden": [20, 20]})


def picture_fourier() -> Recipe:
    """24 random frequencies, then a layer of 10 ReLUs: 501 weights.

    Command: hyperplane train photo-china --net fourier
    Reached: median 0.0549 of 4 photographs, 0.0221 to 0.1381 (± 0.0538; seeds: one), in at most 26 s
    """
    return _fitted("fourier", {"features": 24, "sigma": 1.0, "hidden": [10]})


def _mlp(*hidden: int, bypass: bool = False, restarts: int = 2) -> Recipe:
    return _fitted("mlp", {"hidden": list(hidden), "activation": "tanh", "bypass": bypass}, restarts)


def _fitted(net: str, options: dict[str, Any], restarts: int = 2) -> Recipe:
    """Return a recipe that fits a net to the photograph, from several sets of weights.

    By L-BFGS: in the same 15 s of processor time it ends at half the loss of Levenberg-Marquardt from eight restarts,
    in the median of eight fits of nets of this size (benchmarks/results/second_order.json).
    """
    return Recipe(
        data=DataRecipe(source="photo-china"),
        net=NetRecipe(net, options),
        optimizer=OptimizerRecipe("l-bfgs", restarts=restarts),
        training=TrainingRecipe(epochs=3000),
    )
