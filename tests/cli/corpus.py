"""The corpus of bad input: what is wrong, what is typed, and what the answer must name."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tests.data import makers


@dataclass(frozen=True)
class Case:
    """Something that is wrong, what is typed, and what the answer must name."""

    about: str
    typed: str
    says: tuple[str, ...]
    make: Callable[[Path], object] = lambda root: None


Step = Callable[[Path], object]
"""Puts something wrong into a folder."""


def csv(content: str) -> Step:
    """Write bad.csv."""
    return lambda root: (root / "bad.csv").write_text(content)


def picture(name: str, content: bytes) -> Step:
    """Put a file among the pictures of cats."""
    return lambda root: (root / "pets" / "cat" / name).write_bytes(content)


def encoded(kind: str, mode: str, size: tuple[int, int]) -> bytes:
    """Return a picture of one colour as a file's bytes."""
    stream = io.BytesIO()
    Image.new(mode, size).save(stream, kind)
    return stream.getvalue()


def write(name: str, content: str | bytes) -> Step:
    """Write or replace a file."""
    data = content.encode() if isinstance(content, str) else content
    return lambda root: (root / name).write_bytes(data)


def without(*names: str) -> Step:
    """Delete files."""
    return lambda root: [(root / name).unlink() for name in names]


def flipped(name: str) -> Step:
    """Change one bit in the middle of each file of a pattern."""

    def make(root: Path) -> None:
        for file in root.glob(name):
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 1
            file.write_bytes(content)

    return make


def with_field(name: str, **fields: object) -> Step:
    """Replace or add fields of a JSON file."""
    return lambda root: (root / name).write_text(json.dumps({**json.loads((root / name).read_text()), **fields}))


def each(*steps: Step) -> Step:
    """Do one after the other."""
    return lambda root: [step(root) for step in steps]


ROWS = "".join(f"{i},{i % 3},{'xy'[i % 2]}\n" for i in range(30))
PICKLE = b"cposix\nsystem\n(S'touch own'\ntR."
"""Unpickled, it runs `touch own`."""
TRAP = b"\x80\x02cposix\nsystem\nq\x00X\x09\x00\x00\x00touch ownq\x01\x85q\x02Rq\x03."
"""The same as torch's older files begin."""
BOMB = encoded("PNG", "1", (10_001, 10_001))
CUT = encoded("JPEG", "RGB", (90, 90))[:400]
UNFINISHED = without("runs/animals/manifest.json")
CHANGED = lambda root: makers.animals(root / "animals.csv", rows=70)  # noqa: E731

DATA = [
    Case("an empty file", "train bad.csv", ("bad.csv", "empty"), csv("")),
    Case("one class in a table", "train bad.csv", ("bad.csv", "one class only, 'x'"), csv("a,target\n" + "1,x\n" * 30)),
    Case(
        "one class in a folder",
        "train one",
        ("one class only, 'cat'",),
        lambda root: makers.class_folders(root / "one", {"cat": 9}),
    ),
    Case("a truncated JPEG", "train pets --name p", ("cat/cut.jpg",), picture("cut.jpg", CUT)),
    Case(
        "a text named .png", "train pets --name p", ("cat/note.png", "not a picture"), picture("note.png", b"hello\n")
    ),
    Case("a bomb of 100 megapixels", "train pets --name p", ("cat/bomb.png",), picture("bomb.png", BOMB)),
    Case(
        "a picture of one pixel",
        "train dot.png",
        ("dot.png", "1 x 1 pixels", "at least 8"),
        write("dot.png", encoded("PNG", "L", (1, 1))),
    ),
    Case(
        "a picture of one grey",
        "train grey.png",
        ("grey.png", "the same grey level everywhere, 0"),
        write("grey.png", encoded("PNG", "L", (60, 60))),
    ),
    Case("a picture cut short", "train cut.jpg", ("cut.jpg", "cannot be decoded"), write("cut.jpg", CUT)),
    Case("a text for one picture", "train note.png", ("note.png", "is not a picture"), write("note.png", "hello")),
    Case("a bomb for one picture", "train bomb.png", ("bomb.png", "10001 x 10001"), write("bomb.png", BOMB)),
    Case("a ragged row", "train bad.csv", ("bad.csv", "line 32", "2 fields"), csv("a,b,target\n" + ROWS + "1,2\n")),
    Case(
        "not a number",
        "train bad.csv",
        ("bad.csv", "line 32", "'a'", "'nan'"),
        csv("a,b,target\n" + ROWS + "nan,2,x\n"),
    ),
    Case("infinity", "train bad.csv", ("bad.csv", "line 32", "'a'", "'inf'"), csv("a,b,target\n" + ROWS + "inf,2,x\n")),
    Case(
        "a target column that is not there",
        "train animals.csv --target animla --name a",
        ("animals.csv", "'animla'", "did you mean 'animal'?"),
    ),
    Case("no target column", "train animals.csv --name a", ("animals.csv", "--data.target")),
    Case("two columns of one name", "train bad.csv", ("bad.csv", "columns named 'a'"), csv("a,a,target\n" + ROWS)),
    Case(
        "a mask of another size",
        "train pairs",
        ("images/00.png", "10 x 10", "masks/00.png", "9 x 9"),
        lambda root: [
            makers.class_folders(root / "pairs", {folder: 4}, size=(side, side))
            for folder, side in (("images", 10), ("masks", 9))
        ],
    ),
    Case("an unknown data set", "train digit", ("'digit'", "did you mean 'digits'?")),
    Case("data that are not there", "train nowhere.csv", ("'nowhere.csv'",)),
    Case("another format than a known set's", "train digits --data.format table --name d", ("data.format", "'table'")),
    Case("a net for pictures on a table", "train animals.csv --target animal --net lenet", ("lenet", "images")),
]

OPTIONS = [
    Case("an unknown verb", "trian digits", ("'trian'", "did you mean 'train'?")),
    Case("no data", "train", ("train", "hyperplane train digits")),
    Case("an unknown net", "train digits --net lenett", ("'lenett'", "did you mean 'lenet'?")),
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
    Case("no run to predict with", "predict", ("run folder",)),
    Case("nothing to predict", "predict runs/animals", ("no input",)),
    Case("an input that is not there", "predict runs/animals new.csv", ("new.csv",)),
    Case("a table for a net that reads pictures", "predict runs/pets animals.csv", ("animals.csv", "picture")),
    Case("a picture for a net that reads tables", "predict runs/animals one.png", ("one.png",)),
    Case("a folder for a net that reads tables", "predict runs/animals pets", ("pets", "folder")),
    Case(
        "a table without the columns",
        "predict runs/animals bad.csv",
        ("bad.csv", "'legs'"),
        csv("weight,colour\n1,red\n"),
    ),
    Case("standard input beside a file", "predict runs/animals animals.csv -", ("-",)),
    Case("an empty standard input", "predict runs/animals -", ("standard input", "empty")),
    Case("an empty standard input for pictures", "predict runs/pets -", ("standard input", "empty")),
    Case("data of other classes", "evaluate runs/pets --data digits", ("digits", "classes")),
    Case(
        "data without the target",
        "evaluate runs/animals --data bad.csv",
        ("bad.csv", "'animal'"),
        csv("a,b,target\n" + ROWS),
    ),
    Case("a split that is none", "evaluate runs/animals --split tests", ("--split", "'tests'")),
    Case("nothing to explain", "explain", ("no run folder", "hyperplane explain runs/points-region")),
    Case("to explain what is not there", "explain runs/animal", ("runs/animal", "did you mean 'animals'?")),
    Case("to explain a picture", "explain one.png", ("one.png", "expected a run folder")),
    Case("a misspelt option of explain", "explain runs/animals --pgn", ("--pgn", "did you mean --png?")),
    Case("a run and worked figures", "explain runs/animals --worked new", ("--worked", "expected one of them")),
    Case("worked figures into a file", "explain --worked one.png", ("one.png", "File exists")),
    Case("one run to compare", "compare runs/animals", ("compare", "two or more")),
    Case(
        "to compare with what is not there",
        "compare runs/animals runs/animal",
        ("runs/animal", "did you mean 'animals'?"),
    ),
    Case("the cost of an unknown net", "cost lenett", ("'lenett'", "did you mean 'lenet'?")),
    Case("the cost for a shape that does not fit", "cost lenet --shape 3", ("lenet", "(3,)")),
    Case("the cost of no samples", "cost lenet --batch 0", ("--batch", "found 0")),
    Case("an unknown room", "list net", ("'net'", "nets")),
    Case("an unknown chapter", "lecture --chapter liner", ("'liner'", "did you mean 'linear'?")),
    Case("an unknown claim", "lecture --claim mlp-bypas", ("'mlp-bypas'", "did you mean 'mlp-bypass'?")),
    Case("a claim like no other", "lecture --claim x", ("'x'", "--list")),
    Case("a misspelt option of the lecture", "lecture --qick", ("--qick", "did you mean --quick?")),
    Case(
        "images smaller than a net's stride",
        "train digits --name new --net resnet50",
        ("net resnet", "8 x 8 pixels", "at least 32 x 32", "--net resnet20"),
    ),
    Case("images too small for AlexNet", "train digits --name new --net alexnet", ("8 x 8", "at least 63 x 63")),
    Case("a depth that is none", "train digits --name new --net resnet-cifar --net.depth 9", ("depth", "6n + 2")),
    Case("no time at all", "train digits --name new --net cornet --net.steps 0", ("steps 0", "--net.steps 5")),
    Case("a pooling that is none", "train digits --name new --net lenet --net.pooling mean", ("'mean'", "max")),
    Case("nothing to import", "import", ("state dict's file",)),
    Case("weights that are none", "import one.png", ("one.png", "neither safetensors nor")),
    Case("weights that are not there", "import nothing.pth", ("nothing.pth", "No such file")),
    Case("a trap for weights", "import bad.pth", ("bad.pth", "neither safetensors nor"), write("bad.pth", PICKLE)),
    Case("weights for a run folder", "predict bad.pth one.png", ("hyperplane import",), write("bad.pth", PICKLE)),
    *(
        Case(f"weights: {typed}", typed, ("bad.pth", "hyperplane import"), write("bad.pth", TRAP))
        for typed in (
            "train bad.pth",
            "check bad.pth",
            "train pets --name new --from bad.pth",
            "train --recipe bad.pth",
            "train --resume bad.pth",
            "predict runs/pets bad.pth",
            "predict bad.pth pets",
            "evaluate runs/pets --data bad.pth",
            "compare bad.pth runs/pets",
            "explain bad.pth",
            "filter bad.pth",
        )
    ),
    Case(
        "to begin with what is not there",
        "train pets --name new --from runs/pet",
        ("runs/pet", "did you mean 'pets'?"),
    ),
    Case("to begin with data", "train pets --name new --from pets", ("pets", "not a run folder")),
    Case(
        "to begin with a half-written run",
        "train pets --name new --from runs/digits",
        ("runs/digits", "unfinished", "--resume runs/digits"),
        without("runs/digits/manifest.json"),
    ),
    Case(
        "to begin with damaged weights",
        "train pets --name new --from runs/digits",
        ("runs/digits/model.safetensors", "damaged"),
        flipped("runs/digits/model.safetensors"),
    ),
    Case(
        "to begin with another kind of data",
        "train pets --name new --from runs/animals",
        ("pets", "image_BCHW", "table samples as feature_BD"),
    ),
    Case(
        "to begin with weights of another net",
        "train pets --name new --from runs/digits --net lenet-1989",
        ("does not fit", "runs/digits", "lacks", "--net lenet"),
    ),
    Case(
        "to begin with weights of another width",
        "train digits --name new --from runs/digits --net lenet --net.pooling convolution",
        ("does not fit", "runs/digits", "tensors"),
    ),
    Case(
        "a solver that is to begin with weights",
        "train digits --name new --from runs/digits --optimizer.name l-bfgs",
        ("l-bfgs", "--optimizer.name adamw"),
    ),
    Case(
        "Newton with balanced classes",
        "train points-region --net perceptron --optimizer.name newton --task.balance",
        ("task.balance", "--optimizer.name l-bfgs"),
    ),
    Case("published weights that are not here", "import resnet50", ("resnet50-0676ba61.pth", "add --download")),
    Case("published weights that are none", "import lenet --download", ("lenet", "published")),
    Case("nothing to filter", "filter", ("a picture",)),
    Case("a picture to filter that is not there", "filter no.png", ("no.png", "does not exist")),
    Case("a text to filter", "filter note.png", ("note.png", "not a picture"), write("note.png", "hello")),
    Case("a mask that is none", "filter one.png --mask sobl", ("'sobl'", "sobel, prewitt")),
    Case("an order that is none", "filter one.png --mask gaussian --order 3", ("--order", "'3'")),
    Case("a Gaussian of no width", "filter one.png --mask gaussian --sigma 0", ("--sigma", "found 0", "0.3 to 32")),
    Case("a wave of no length", "filter one.png --mask gabor --wavelength nan", ("--wavelength", "nan")),
    Case("no direction", "filter one.png --directions nan", ("--directions", "nan", "--directions 0 90")),
    Case("a folder to write to that is none", "filter one.png --out nowhere", ("nowhere", "--out")),
    Case(
        "a picture in the way",
        "filter one.png",
        ("one-sobel.png", "--overwrite"),
        write("one-sobel.png", b"mine"),
    ),
]

FOLDERS = [
    Case("a run of that name", "train animals.csv --target animal", ("runs/animals", "--resume", "--overwrite")),
    Case("to overwrite what is no run", "train digits --runs . --name pets --overwrite", ("pets", "--name")),
    Case("to overwrite with a bad net", "train digits --overwrite --net.dropout 1.5", ("dropout", "1.5")),
    Case("to overwrite with a bad number", "train digits --overwrite --batch 0", ("training.batch", "found 0")),
    Case(
        "to overwrite with patience and nothing to look at",
        "train digits --overwrite --training.patience 3 --data.validation 0",
        ("training.patience", "--data.validation"),
    ),
    Case("a file where runs would go", "train digits --runs one.png", ("one.png", "--name")),
    Case("what is no run", "predict pets one.png", ("pets", "not a run folder")),
    Case("results among other things", "lecture --chapter linear --out pets", ("pets", "left alone", "--out")),
    Case("results where a file is", "lecture --list --out one.png", ("one.png", "a file", "--out")),
    Case(
        "damaged weights",
        "predict runs/animals animals.csv",
        ("runs/animals/model.safetensors", "damaged"),
        flipped("runs/animals/model.safetensors"),
    ),
    Case(
        "damaged metrics",
        "evaluate runs/animals",
        ("runs/animals/metrics.jsonl", "damaged"),
        flipped("runs/animals/metrics.jsonl"),
    ),
    Case(
        "a half-written run",
        "predict runs/animals animals.csv",
        ("runs/animals", "unfinished", "hyperplane train --resume runs/animals"),
        UNFINISHED,
    ),
    Case(
        "to explain a half-written run",
        "explain runs/animals",
        ("runs/animals", "unfinished", "hyperplane train --resume runs/animals"),
        UNFINISHED,
    ),
    Case(
        "a lost data.json",
        "predict runs/animals animals.csv",
        ("runs/animals/data.json", "missing"),
        without("runs/animals/data.json"),
    ),
    Case(
        "lost weights",
        "evaluate runs/animals",
        ("runs/animals/model.safetensors", "missing"),
        without("runs/animals/model.safetensors"),
    ),
    Case(
        "a run from a newer version",
        "predict runs/animals animals.csv",
        ("version 99", "pip install"),
        with_field("runs/animals/recipe.json", version=99),
    ),
    Case(
        "an unknown field",
        "predict runs/animals animals.csv",
        ("recipe.json", "'optimiser'", "did you mean 'optimizer'?"),
        with_field("runs/animals/recipe.json", optimiser={}),
    ),
    Case(
        "a pickle for weights",
        "predict runs/animals animals.csv",
        ("runs/animals/model.safetensors", "pickle"),
        write("runs/animals/model.safetensors", PICKLE),
    ),
    Case(
        "a pickle beside",
        "predict runs/animals animals.csv",
        ("runs/animals/model.pt", "pickle"),
        each(without("runs/animals/model.safetensors"), write("runs/animals/model.pt", PICKLE)),
    ),
    Case(
        "a damaged checkpoint",
        "train --resume runs/animals",
        ("runs/animals/checkpoint", "damaged", "--overwrite"),
        each(UNFINISHED, flipped("runs/animals/checkpoint/*.safetensors")),
    ),
    Case(
        "a checkpoint without state",
        "train --resume runs/animals",
        ("runs/animals/checkpoint", "damaged"),
        each(UNFINISHED, write("runs/animals/checkpoint/manifest.json", "[]")),
    ),
    Case(
        "data that changed meanwhile",
        "evaluate runs/animals",
        ("animals.csv", "changed", "--data animals.csv"),
        CHANGED,
    ),
    Case(
        "data that changed before resuming",
        "train --resume runs/animals",
        ("animals.csv", "changed", "--overwrite"),
        each(UNFINISHED, CHANGED),
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
