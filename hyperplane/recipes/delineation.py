"""Delineation: roads seen from above, membranes between cells, cracks in a pavement, in minutes on two cores."""

from __future__ import annotations

from dataclasses import replace

from hyperplane.recipe import (
    AugmentRecipe,
    DataRecipe,
    NetRecipe,
    OptimizerRecipe,
    Recipe,
    TaskRecipe,
    TrainingRecipe,
)

TURNED = AugmentRecipe(flip=True, quarter=True, rotate=15.0, zoom=0.1, brightness=0.2, contrast=0.2, views="turned")


def roads_aerial() -> Recipe:
    """A U-Net that begins at a quarter of the size, on aerial images of roads; every fourth image is held out.

    Command: hyperplane train roads-aerial
    Reached: F1 of the pixels 86.4%, of patches 88.3%, centre-line Dice 91.9%, Betti-0 error 1.45 on 20 held-out images
    (seeds: one, so no ±), trained in 50 minutes of one thread beside other work
    Hardware: 2 cores of an AMD EPYC; benchmarks/results/delineated.json
    Pieces of fewer than 600 pixels are left out: of the training masks' 91 pieces 13 are that small, most of them
    specks. Of the 29 pieces too many or too few 13 are specks in the mask of one held-out image. Images are turned to
    every angle since a net that saw them within 15 degrees of its four turns missed oblique streets of held-out images:
    F1 85.0%, of patches 86.8%, centre-line Dice 90.0%, Betti-0 error 1.40 after 2,400 steps; with every angle, 1,500
    steps reached 85.2%, 87.2%, 90.8% and 1.40.
    """
    return Recipe(
        data=DataRecipe(source="roads-aerial", validation=0.0, options={"every": 4}),
        task=TaskRecipe("delineation", {"loss": "bce+0.5*cldice", "width": 40, "smallest": 600}),
        net=NetRecipe("unet-quick", {"depths": [1, 1, 1, 1]}),
        optimizer=OptimizerRecipe("adamw", learning_rate=3e-3, weight_decay=0.05),
        augment=replace(TURNED, rotate=45.0, zoom=0.25),
        training=TrainingRecipe(steps=2600, batch=4, ema=0.99),
    )


def membranes() -> Recipe:
    """A U-Net that keeps half the size, on the membranes between cells; every fourth section is held out.

    Command: hyperplane train membranes
    Reached: F1 of the membranes' pixels 82.1%, within 2 pixels 94.8%, centre-line Dice 94.7%, Betti-0 error 2.7 on 6
    held-out sections (seeds: one, so no ±), trained in 817 s on one thread beside other work
    Hardware: 2 cores of an AMD EPYC; benchmarks/results/delineated.json
    In 200 steps, which took 222 s, with the edge repeated around what is turned: 80.8%, 93.6%, 93.8% and 2.8.
    """
    start = roads_aerial()
    return replace(
        start,
        data=DataRecipe(source="membranes", validation=0.0, options={"every": 4, "crop": 256}),
        task=TaskRecipe("delineation", {"loss": "bce+0.5*cldice", "width": 12}),
        net=NetRecipe("unet"),
        augment=TURNED,
        training=replace(start.training, steps=500, batch=8),
    )


def cracks() -> Recipe:
    """A U-Net that keeps half the size, on cracks in a pavement, every fourth photograph held out; where others begin.

    Any folder of images and masks starts from it, and so it leaves out nothing for being small.

    Command: hyperplane train cracks
    Reached: F1 within 2 pixels 69.7%, centre-line Dice 78.7% over all pixels of 22 held-out photographs; F1 within 2
    pixels of each photograph 84.2% on average, 93.4% in the median (seeds: one, so no ±), trained in 530 s on one
    thread beside other work
    Hardware: 2 cores of an AMD EPYC; benchmarks/results/delineated.json
    One held-out mask fills an area (101), one belongs to another photograph (042): over all pixels of the others F1
    within 2 pixels is 90.6%. Half the steps reached 68.7%, 77.8%, 83.7% and 92.1%.
    """
    start = roads_aerial()
    return replace(
        start,
        data=DataRecipe(source="cracks", validation=0.0, options={"every": 4, "crop": 256}),
        task=TaskRecipe("delineation", {"loss": "bce+dice", "width": 8}),
        net=NetRecipe("unet"),
        augment=TURNED,
        training=replace(start.training, steps=520, batch=8),
    )
