"""What is wrong with what is typed to train, and with recipes."""

from __future__ import annotations

from tests.cli.corpus.cases import Case, write

TRAINING = [
    Case("an unknown verb", "trian digits", ("'trian'", "did you mean 'train'?")),
    Case("no data", "train", ("train", "hyperplane train digits")),
    Case("an unknown net", "train digits --net lenett", ("'lenett'", "did you mean 'lenet'?")),
    Case("to freeze what was never trained", "train digits --name new --frozen", ("net.frozen", "add --from RUN")),
    Case("an unknown task", "train digits --task clasification", ("did you mean 'classification'?",)),
    Case("an unknown recipe", "train --recipe mnist_lenett", ("did you mean 'mnist_lenet'?",)),
    Case("an unknown format", "train digits --name new --data.format folderr", ("did you mean 'folder'?",)),
    Case("a misspelt option", "train digits --epoch 3", ("--epoch", "did you mean --epochs?")),
    Case(
        "a misspelt option of the net",
        "train digits --net.dropuot 0.1",
        ("--net.dropuot", "did you mean --net.dropout?"),
    ),
    Case(
        "a misspelt option of the task",
        "train digits --task.label-smooting 0.1",
        ("did you mean --task.label-smoothing?",),
    ),
    Case("a misspelt option of the data", "train points-region --data.sample 90", ("did you mean --data.samples?",)),
    Case(
        "what other verbs call their folder",
        "train digits --out there",
        ("--out", "did you mean --name and --runs?"),
    ),
    Case("a room where its name was meant", "train digits --optimizer sgd", ("did you mean --optimizer.name?",)),
    Case("a text for a whole number", "train digits --epochs ten", ("--epochs", "'ten'", "a whole number")),
    Case(
        "a fraction for a whole number",
        "train digits --training.epochs 1.5",
        ("--training.epochs", "'1.5'", "a whole number"),
    ),
    Case("a text for a number", "train digits --net.dropout much", ("--net.dropout", "'much'", "a number")),
    Case("a text in a list of numbers", "train digits --net mlp --net.hidden 9 wide", ("--net.hidden", "'wide'")),
    Case(
        "none of the choices",
        "train digits --optimizer.name sdg",
        ("--optimizer.name", "'sdg'", "adamw, l-bfgs, ", "or sgd"),
    ),
    Case(
        "Newton for a net with layers", "train digits --name n --net mlp --optimizer.name newton", ("newton", "l-bfgs")
    ),
    Case(
        "Newton for numbers",
        "train surface --net perceptron --optimizer.name newton",
        ("newton", "perceptron that classifies", "task regression"),
    ),
    Case(
        "restarts for Newton",
        "train points-region --net perceptron --optimizer.name newton --optimizer.restarts 9",
        ("optimizer.restarts", "found 9", "leave it out"),
    ),
    Case(
        "Levenberg-Marquardt for classes",
        "train points-region --net perceptron --optimizer.name levenberg-marquardt",
        ("squared loss", "--optimizer.name l-bfgs"),
    ),
    Case(
        "Levenberg-Marquardt for a large net",
        "train surface --optimizer.name levenberg-marquardt --net mlp --net.hidden 90 90",
        ("8,551 weights", "at most 5,000", "--optimizer.name l-bfgs"),
    ),
    Case(
        "more restarts than memory holds",
        "train surface --optimizer.name levenberg-marquardt --net.hidden 64 64",
        ("64 of 4,417 weights", "9.3 GiB", "--optimizer.restarts 13"),
    ),
    Case(
        "a Jacobian that memory does not hold",
        "train surface --optimizer.name levenberg-marquardt --net.hidden 64 64 --optimizer.restarts 1 --data.side 300",
        ("4,417 weights", "Jacobian", "expected at most 2", "--optimizer.name l-bfgs"),
    ),
    Case(
        "restarts that another optimizer would have to drop",
        "train surface --optimizer.name adamw --optimizer.halving 50",
        ("optimizer.halving", "found 50", "adamw drops no restarts", "--optimizer.name levenberg-marquardt"),
    ),
    Case("a solver for a net with dropout", "train digits --optimizer.name l-bfgs --overwrite", ("--net.dropout 0",)),
    Case(
        "a solver that should stop early",
        "train points-region --optimizer.name l-bfgs --training.patience 3",
        ("training.patience", "found 3", "--optimizer.name adamw"),
    ),
    Case(
        "a solver in too few digits",
        "train points-region --optimizer.name l-bfgs --hardware.precision bfloat16",
        ("hardware.precision", "bfloat16", "float64 or float32"),
    ),
    Case(
        "a rate that AdamW has not",
        "train digits --name d --optimizer.name adamw --optimizer.other-rate 0.1",
        ("optimizer.other_rate", "adamw has one rate", "--optimizer.name muon"),
    ),
    Case("the hardest of none", "train digits --training.hardest 0", ("training.hardest", "found 0", "(0, 1]")),
    Case("images that grow downwards", "train digits --name d --augment.sizes 16", ("augment.sizes", "16", "have 8")),
    Case(
        "a size of nothing", "train digits --augment.sizes 0", ("augment.sizes", "1 to 4096", "--augment.sizes 16 24")
    ),
    Case(
        "images that shrink below the net's stride",
        "train pets --name p --net resnet20 --augment.sizes 8 3",
        ("augment.sizes: found 3 pixels", "4 or more", "leave 3 out of --augment.sizes"),
    ),
    Case(
        "images that shrink for a net of one size",
        "train pets --name p --net mlp --augment.sizes 5",
        ("augment.sizes: found 5 pixels", "leave 5 out of --augment.sizes"),
    ),
    Case("views of points", "train points-region --augment.views mirrored", ("augment.views", "no images")),
    Case("views that are none", "train digits --augment.views many", ("--augment.views", "'many'", "mirrored")),
    Case("a compact net for tiny images", "train digits --net compact --name d", ("8 x 8", "at least 9 x 9")),
    Case(
        "more pools than groups",
        "train digits --name d --net compact --net.widths 8 --net.pools 2",
        ("compact", "pools 2", "--net.widths 64 256 256"),
    ),
    Case(
        "a run that is there, with an option of its net", "train pets --net.dropout 0.1", ("runs/pets:", "--overwrite")
    ),
    Case("an option without its value", "train digits --epochs", ("--epochs", "no value")),
    Case("one thing too many", "train digits mnist", ("'mnist'",)),
    Case("no device of that kind", "train digits --device tpu", ("--device", "'tpu'")),
    Case("a side of a picture out of range", "train one.png --data.side 3", ("side", "found 3", "--data.side 51")),
    Case("every pixel held out", "train one.png --data.held-out 1", ("held_out", "found 1", "--data.held-out 0.2")),
    Case("a size for one picture", "train one.png --data.size 9", ("data.size", "found 9", "--data.side 9")),
    Case("a misspelt option of a picture", "train one.png --data.color rgb", ("did you mean --data.colour?",)),
    Case("colours that are none", "train one.png --data.colour cmyk", ("--data.colour", "'cmyk'", "grey or rgb")),
    Case("a bad number of samples", "train points-region --data.samples -1", ("samples", "-1")),
    Case("a net larger than any memory", "train digits --net mlp --net.hidden 10000000000000", ("memory", "smaller")),
    Case("a width of 0", "train digits --net mlp --net.hidden 0", ("hidden", "[0]")),
    Case(
        "nothing to train on",
        "train digits --name new --data.validation 0.5 --data.test 0.5",
        ("data.validation", "data.test"),
    ),
    Case("to resume nothing", "train --resume", ("--resume", "hyperplane train --resume runs/digits")),
    Case("to resume what is not there", "train --resume runs/animal", ("runs/animal", "did you mean 'animals'?")),
    Case("to resume with another recipe", "train --resume runs/digits --epochs 3", ("--resume", "recipe")),
    Case("to resume and overwrite", "train digits --resume --overwrite", ("--resume", "--overwrite")),
    Case("a recipe that is not there", "train --recipe my.json", ("my.json",)),
    Case("a recipe that is no JSON", "train --recipe my.json", ("my.json", "not JSON"), write("my.json", "hello")),
    Case("a recipe that is no text", "train --recipe my.json", ("my.json",), write("my.json", b"\xff\xfe\x00")),
    Case("a recipe that is a folder", "train --recipe my.json", ("my.json",), lambda root: (root / "my.json").mkdir()),
    Case(
        "a recipe nested without end",
        "train --recipe my.json",
        ("my.json", "not JSON"),
        write("my.json", "[" * 200_000),
    ),
    Case(
        "a recipe with a misspelt field",
        "train --recipe my.json",
        ("my.json.data", "did you mean 'source'?"),
        write("my.json", '{"data": {"sorce": "digits"}}'),
    ),
    Case(
        "a recipe with a bad value",
        "train --recipe my.json",
        ("my.json.training.epochs", '"ten"'),
        write("my.json", '{"data": {"source": "digits"}, "training": {"epochs": "ten"}}'),
    ),
    Case(
        "a recipe from a newer version",
        "train --recipe my.json",
        ("my.json", "version 99", "pip install"),
        write("my.json", '{"version": 99}'),
    ),
]

NUMBERS = {
    "--epochs": ("0", "-1"),
    "--batch": ("0", "-4"),
    "--optimizer.learning-rate": ("0", "-1", "nan", "inf"),
    "--optimizer.momentum": ("1", "-0.1", "nan"),
    "--optimizer.weight-decay": ("-1", "nan"),
    "--optimizer.restarts": ("0", "-1"),
    "--optimizer.clip": ("0", "nan"),
    "--schedule.warmup": ("2", "nan"),
    "--schedule.final": ("-1",),
    "--training.ema": ("0", "1", "nan"),
    "--training.patience": ("0",),
    "--training.evaluate-every": ("0",),
    "--training.checkpoint-seconds": ("-1", "nan"),
    "--data.validation": ("1", "-0.1", "nan"),
    "--data.test": ("1", "nan"),
    "--data.size": ("0",),
    "--data.memory-gb": ("-1", "nan"),
    "--workers": ("-1",),
    "--net.dropout": ("1", "-0.1", "nan"),
    "--task.label-smoothing": ("1", "-0.1", "nan"),
}
"""Values outside of each number's range."""
