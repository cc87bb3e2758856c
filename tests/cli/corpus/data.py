"""What is wrong with data."""

from __future__ import annotations

from tests.cli.corpus.cases import BOMB, CUT, ROWS, Case, csv, encoded, picture, write
from tests.data import makers

DATA = [
    Case("an empty file", "train bad.csv", ("bad.csv", "empty"), csv("")),
    Case("one class in a table", "train bad.csv", ("bad.csv", "one class only, 'x'"), csv("a,target\n" + "1,x\n" * 30)),
    Case(
        "one class in a folder",
        "train one",
        ("one class only, 'cat'",),
        lambda root: makers.class_folders(root / "one", {"cat": 9}),
    ),
    Case(
        "two classes of a picture each",
        "train ones",
        ("ones: has 2 samples in 2 classes", "--data.validation 0"),
        lambda root: makers.class_folders(root / "ones", {"cat": 1, "dog": 1}),
    ),
    Case(
        "pictures smaller than the net's stride",
        "train pets --name p --net googlenet",
        ("at least 32 x 32", "--net resnet20", "--data.size 32"),
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
