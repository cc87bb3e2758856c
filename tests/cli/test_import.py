"""Published weights become run folders that predict; hostile and damaged ones become one line, and nothing runs."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import hyperplane as package
from hyperplane import nets
from hyperplane.errors import UserError
from hyperplane.nets.blocks import published
from hyperplane.nets.blocks.published import Weights
from hyperplane.predict import imported
from tests.cli.commands import Answer, Command, tree
from tests.cli.corpus.weights import GOOD, HOSTILE, Trap, net_of, saved
from tests.data import makers


@pytest.fixture
def here(empty_folder: Path) -> Path:
    """The current folder, with net.pth and a picture."""
    (empty_folder / "net.pth").write_bytes(saved(net_of().state_dict()))
    Image.fromarray(makers.noise((20, 20, 3))).save(empty_folder / "one.png")
    return empty_folder


def refused(answer: Answer, *says: str) -> None:
    assert answer.status == 2 and not answer.out, answer
    assert answer.err.startswith("error: ") and answer.err.count("\n") == 1 and answer.err.strip().isprintable()
    assert "Traceback" not in answer.err
    assert all(word in answer.err for word in says), answer.err


def probabilities(hyperplane: Command, run: str) -> list[float]:
    return list(json.loads(hyperplane("predict", run, "one.png", "--json").out)["probabilities"].values())


FORMS: dict[str, Callable[[dict[str, torch.Tensor]], bytes]] = {
    "zip": saved,
    "legacy": lambda tensors: saved(tensors, _use_new_zipfile_serialization=False),
    "safetensors": safetensors.torch.save,
    "nested": lambda tensors: saved({"epoch": 3, "optimizer": {"lr": 0.1}, "state_dict": tensors}),
    "twice nested": lambda tensors: saved({"model": {"state_dict": tensors}, "best": 0.9}),
    "prefixed": lambda tensors: saved({f"module.model.{key}": value for key, value in tensors.items()}),
    "double": lambda tensors: saved({key: value.double() for key, value in tensors.items()}),
}


SAID = {
    "nested": ("under 'state_dict'",),
    "twice nested": ("under 'model'", "under 'state_dict'"),
    "prefixed": ("began with 'module.'", "began with 'model.'"),
    "double": ("8 tensors were turned into float32",),
}


def as_read(picture: Path) -> torch.Tensor:
    """Return a square picture, grey and 16 x 16, in [0, 1]."""
    grey = Image.open(picture).convert("L").resize((16, 16), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.asarray(grey, np.float32)).view(1, 1, 16, 16) / 255


@pytest.mark.parametrize("form", FORMS)
def test_weights_predict_what_the_net_says(form: str, here: Path, hyperplane: Command) -> None:
    net = net_of()
    (here / "net.bin").write_bytes(FORMS[form](net.state_dict()))
    answer = hyperplane("import", "net.bin", "--mean", "0.5", "--std", "0.25")
    assert answer.status == 0 and answer.err.splitlines()[0] == answer.err.splitlines()[-1] == "runs/lenet-1989"
    assert "9,760 weights, 10 classes" in answer.err
    assert all(word in answer.err for word in SAID.get(form, ()))
    with torch.no_grad():
        expected = net((as_read(here / "one.png") - 0.5) / 0.25).softmax(1)[0].tolist()
    assert probabilities(hyperplane, "runs/lenet-1989") == pytest.approx(expected, abs=2e-3)


def test_a_run_of_imported_weights_says_that_it_has_no_data_and_no_result(here: Path, hyperplane: Command) -> None:
    assert hyperplane("import", "net.pth", "--out", "runs/a").status == 0
    refused(hyperplane("evaluate", "runs/a"), "runs/a", "imported weights", "--data FOLDER")
    assert hyperplane("compare", "runs/a", "runs/a").status == 0
    run = package.load("runs/a")
    assert run.metrics == {} and run.history == [] and run.classes == tuple("0123456789") and repr(run)
    told = json.loads((here / "runs/a/data.json").read_text())
    assert told["hashes"] == {"net.pth": hashlib.sha256((here / "net.pth").read_bytes()).hexdigest()}


def test_labelled_pictures_evaluate_it(here: Path, hyperplane: Command) -> None:
    (here / "net.pth").write_bytes(saved(net_of(outputs=1, channels=3).state_dict()))
    (here / "names.txt").write_text("cat\ndog\n")
    assert hyperplane("import", "net.pth", "--out", "runs/pets", "--classes", "names.txt").status == 0
    makers.class_folders(here / "pets", {"cat": 3, "dog": 3})
    assert json.loads(hyperplane("evaluate", "runs/pets", "--data", "pets", "--json").out)["samples"] == 6
    makers.class_folders(here / "others", {"cat": 3, "cow": 3})
    refused(hyperplane("evaluate", "runs/pets", "--data", "others"), "others", "'cow'", "it knows 'cat', 'dog'")


def test_of_two_outputs_one_is_kept_and_says_the_same(here: Path, hyperplane: Command) -> None:
    net = net_of(outputs=2)
    (here / "two.pth").write_bytes(saved(net.state_dict()))
    answer = hyperplane("import", "two.pth", "--mean", "0", "--std", "1", "--json")
    assert json.loads(answer.out)["classes"] == 2
    with torch.no_grad():
        expected = net(as_read(here / "one.png")).softmax(1)[0].tolist()
    assert probabilities(hyperplane, "runs/lenet-1989") == pytest.approx(expected, abs=2e-3)


def test_python_does_the_same(here: Path) -> None:
    made = package.import_weights("net.pth", out="runs/b", size=32)
    assert made.path == Path("runs/b") and made.net == "lenet-1989" and made.parameters == 9760
    assert package.load(made.path).trained.description.shapes["image_BCHW"] == (1, 32, 32)


# Hashes


def test_a_name_with_a_hash_is_held_to_it(here: Path, hyperplane: Command) -> None:
    digits = hashlib.sha256((here / "net.pth").read_bytes()).hexdigest()[:8]
    (here / f"net-{digits}.pth").write_bytes((here / "net.pth").read_bytes())
    assert hyperplane("import", f"net-{digits}.pth").status == 0
    (here / "resnet50-0676ba61.pth").write_bytes((here / "net.pth").read_bytes())
    refused(hyperplane("import", "resnet50-0676ba61.pth", "--overwrite"), digits, "0676ba61", "copy it again")


def test_a_known_file_brings_its_normalisation(
    here: Path, hyperplane: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "mean 0, std 1 is a guess" in hyperplane("import", "net.pth", "--out", "runs/guessed").err
    digits = hashlib.sha256((here / "net.pth").read_bytes()).hexdigest()[:8]
    known = Weights("lenet-1989", mean=(0.3,), std=(0.2,))
    monkeypatch.setattr(imported, "_published", lambda: {digits: known})
    answer = hyperplane("import", "net.pth")
    told = json.loads((here / "runs/lenet-1989/data.json").read_text())
    assert told["encoding"]["mean"] == [0.3] and told["encoding"]["std"] == [0.2] and told["name"] == "ImageNet"
    assert "guess" not in answer.err


# Published files


def after_fetching(answer: Answer) -> Answer:
    """Return an answer without its first line, which says what is fetched."""
    first, _, rest = answer.err.partition("\n")
    assert first.startswith("fetching http://127.0.0.1:")
    return Answer(answer.status, answer.out, rest)


@pytest.fixture
def shelf(server: tuple[str, Path], here: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Path, Path]:
    """The digits of net.pth, published under the name lenet-1989; its file on a server of this machine; the cache."""
    url, folder = server
    content = (here / "net.pth").read_bytes()
    digits = hashlib.sha256(content).hexdigest()[:8]
    file = folder / f"lenet-1989-{digits}.pth"
    file.write_bytes(content)
    monkeypatch.setattr(published, "MODELS", url)
    monkeypatch.setenv("HYPERPLANE_CACHE", str(here / "cache"))
    known = Weights("lenet-1989", mean=(0.3,), std=(0.2,))
    other = Weights("lenet-1989", mean=(0.4,), std=(0.2,))
    monkeypatch.setattr(imported, "_published", lambda: {digits: known, "00000000": other})
    return digits, file, here / "cache" / "weights" / file.name


def test_published_weights_are_fetched_only_when_asked_and_once(
    shelf: tuple[str, Path, Path], hyperplane: Command
) -> None:
    digits, file, cached = shelf
    refused(hyperplane("import", "lenet-1989"), "lenet-1989: there is no such file", "add --download", file.name)
    assert not cached.exists()
    answer = hyperplane("import", "lenet-1989", "--download")
    assert answer.status == 0 and digits in answer.err and cached.read_bytes() == file.read_bytes()
    assert json.loads(Path("runs/lenet-1989/data.json").read_text())["encoding"]["mean"] == [0.3]
    file.unlink()
    assert hyperplane("import", f"lenet-1989-{digits}", "--out", "runs/again").status == 0  # from the cache
    cached.write_bytes(b"damaged")
    refused(hyperplane("import", "lenet-1989", "--out", "runs/c"), "add --download")
    gone = after_fetching(hyperplane("import", "lenet-1989", "--out", "runs/c", "--download"))
    refused(gone, file.name, "404")
    gone = after_fetching(hyperplane("import", "lenet-1989-00000000", "--out", "runs/c", "--download"))
    refused(gone, "lenet-1989-00000000", "404")
    refused(hyperplane("import", "lenet-198", "--download"), "lenet-198: names no published weights", "did you mean")


def test_a_file_of_another_hash_is_not_kept(shelf: tuple[str, Path, Path], hyperplane: Command) -> None:
    digits, file, cached = shelf
    file.write_bytes(pickle.dumps(Trap()))
    answer = after_fetching(hyperplane("import", "lenet-1989", "--download"))
    refused(answer, file.name, "is not the published file", digits, "not kept")
    assert not cached.exists() and not Path("sprung").exists() and not Path("runs").exists()


def test_an_imported_run_has_a_report_of_what_is_known(here: Path, hyperplane: Command) -> None:
    (here / "names.txt").write_text("\n".join("abcdefghij"))
    answer = hyperplane("import", "net.pth", "--classes", "names.txt", "--mean", "0.25", "--std", "0.5")
    assert "runs/lenet-1989/report.html" in answer.err
    page = (here / "runs/lenet-1989/report.html").read_text()
    for said in ("Imported weights", "9,760", "1 × 16 × 16", "0.25", "10 classes", "lenet-1989", "SHA-256"):
        assert said in page, said
    for verb in ("predict", "evaluate", "train FOLDER --from"):
        assert f"hyperplane {verb} runs/lenet-1989" in page
    assert "hyperplane import net.pth" in page and "It was first trained with" not in page
    assert "--recipe" not in page


# What fits no net


def test_what_is_missing_and_foreign_is_listed_with_the_nearest_net(here: Path, hyperplane: Command) -> None:
    held = dict(nets.build("resnet20", (3, 32, 32), 10).state_dict())
    gone = [key for key in held if key.startswith("layer3.2.")]
    part = {key: value for key, value in held.items() if key not in gone} | {"odd": torch.zeros(2)}
    (here / "part.pth").write_bytes(saved(part))
    answer = hyperplane("import", "part.pth")
    refused(
        answer, "part.pth", "nearest is resnet20", f"lacks {len([k for k in gone if 'num_batches' not in k])} tensors"
    )
    assert (
        "layer3.2.conv1.weight, layer3.2.bn1.weight" in answer.err
        and "1 tensor (odd) that the net has not" in answer.err
    )
    assert answer.err.count("layer3.2.") == 5
    refused(hyperplane("import", "part.pth", "--net", "vgg11"), "does not fit vgg11", "--net resnet20")
    refused(hyperplane("import", "part.pth", "--net", "resnet2"), "did you mean")
    refused(hyperplane("import", "part.pth", "--net", "mlp"), "mlp reads no images")
    assert not (here / "runs").exists()


def test_nets_of_the_same_tensors_must_be_told_apart(here: Path, hyperplane: Command) -> None:
    (here / "twin.pth").write_bytes(saved(nets.build("plain8", (3, 32, 32), 7).state_dict()))
    refused(hyperplane("import", "twin.pth"), "resnet8, plain8", "--net resnet8")
    answer = hyperplane("import", "twin.pth", "--net", "plain8")
    assert answer.status == 0 and "7 classes" in answer.err


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (["--classes", "names.txt"], ("names.txt", "3 names", "10 classes")),
        (["--classes", "nothing.txt"], ("nothing.txt", "No such file")),
        (["--classes", "one.png"], ("one.png", "no text")),
        (["--mean", "0.5", "0.5"], ("--mean", "0.5 0.5", "1 number in [0, 1]")),
        (["--std", "0"], ("--std", "none of them 0")),
        (["--std", "nan"], ("--std", "nan")),
        (["--size", "0"], ("lenet-1989", "0")),
        (["--out", "one.png"], ("one.png", "is a file")),
    ],
)
def test_what_the_user_gets_wrong(typed: list[str], says: tuple[str, ...], here: Path, hyperplane: Command) -> None:
    (here / "names.txt").write_text("a\nb\nc\n")
    refused(hyperplane("import", "net.pth", *typed), *says)
    assert not (here / "runs").exists()


def test_classes_of_one_name_get_their_numbers(here: Path, hyperplane: Command) -> None:
    (here / "names.txt").write_text("crane\nb\nc\ncrane\ne\nf\ng\nh\ni\nj\n")
    assert hyperplane("import", "net.pth", "--classes", "names.txt").status == 0
    assert package.load("runs/lenet-1989").classes[:4] == ("crane [0]", "b", "c", "crane [3]")


def test_a_run_of_that_name_is_kept(here: Path, hyperplane: Command) -> None:
    assert hyperplane("import", "net.pth").status == 0
    before = tree(here)
    refused(hyperplane("import", "net.pth"), "runs/lenet-1989", "--overwrite")
    assert tree(here) == before
    assert hyperplane("import", "net.pth", "--overwrite").status == 0


# Hostile and damaged files


@pytest.mark.parametrize("kind", HOSTILE)
def test_one_line_and_nothing_runs(kind: str, empty_folder: Path, hyperplane: Command) -> None:
    make, says = HOSTILE[kind]
    (empty_folder / "bad.pth").write_bytes(make())
    before = tree(empty_folder)
    answer = hyperplane("import", "bad.pth")
    refused(answer, "bad.pth: ", says)
    assert len(answer.err) < 1200
    assert tree(empty_folder) == before and not (empty_folder / "sprung").exists()


def test_a_link_is_followed_and_what_is_no_file_is_not_read(here: Path, hyperplane: Command) -> None:
    (here / "link.pth").symlink_to("net.pth")
    assert hyperplane("import", "link.pth").status == 0
    for name, leads_to in (("loop.pth", "loop.pth"), ("gone.pth", "nowhere"), ("endless.pth", "/dev/zero")):
        (here / name).symlink_to(leads_to)
    os.mkfifo(here / "pipe.pth")
    for name in ("endless.pth", "pipe.pth"):
        refused(hyperplane("import", name), f"{name}: is a pipe or a device", "name one")
        refused(hyperplane("train", name), f"{name}: is a pipe or a device", "name one")
    refused(hyperplane("import", "loop.pth"), "loop.pth: cannot be read", "name a file")
    refused(hyperplane("import", "gone.pth"), "gone.pth: cannot be read", "name a file")


def test_a_date_in_a_name_is_no_hash(here: Path, hyperplane: Command) -> None:
    (here / "net.pth").rename(here / "net-20240115.pth")
    assert hyperplane("import", "net-20240115.pth", "--out", "runs/dated").status == 0


def test_a_name_that_is_nearly_known_is_told(here: Path, hyperplane: Command) -> None:
    refused(hyperplane("import", "resnet5"), "resnet5: names no published weights", "did you mean")


def test_a_folder_and_a_missing_file_are_named(here: Path, hyperplane: Command) -> None:
    (here / "folder").mkdir()
    refused(hyperplane("import", "folder"), "folder", "Is a directory")
    refused(hyperplane("import", "nothing.pth"), "nothing.pth", "No such file")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, len(GOOD)), at=st.integers(0, len(GOOD) - 1), byte=st.integers(0, 255), whole=st.booleans())
def test_damage_anywhere_is_told_or_harmless(cut: int, at: int, byte: int, whole: bool, empty_folder: Path) -> None:
    content = bytearray(GOOD)
    content[at] = byte
    (empty_folder / "bad.pth").write_bytes(bytes(content if whole else content[:cut]))
    try:
        package.import_weights("bad.pth", overwrite=True)
    except UserError as error:
        assert "bad.pth" in str(error) and "\n" not in str(error)


PLACES = [
    "train FILE", "train pets --from FILE", "train pets --net FILE", "train --recipe FILE", "train --resume FILE",
    "predict FILE one.png", "predict runs/lenet-1989 FILE", "evaluate FILE", "evaluate runs/lenet-1989 --data FILE",
    "explain FILE", "explain runs/lenet-1989 FILE", "compare FILE FILE", "compare runs/lenet-1989 FILE", "check FILE",
    "generate FILE", "generate runs/lenet-1989 --draft FILE", "filter FILE", "cost FILE",
]  # fmt: skip
"""Wherever a file may be named, but for import."""


@pytest.mark.parametrize("typed", PLACES)
def test_pickles_are_refused_everywhere_else_with_the_verb_that_reads_them(
    typed: str, here: Path, hyperplane: Command
) -> None:
    assert hyperplane("import", "net.pth").status == 0
    makers.class_folders(here / "pets", {"cat": 3, "dog": 3})
    (here / "trap.pkl").write_bytes(pickle.dumps(Trap()))
    (here / "weights").write_bytes(GOOD)
    before = tree(here)
    for name in ("net.pth", "trap.pkl", "weights"):
        answer = hyperplane(*typed.replace("FILE", name).split())
        refused(answer, f"{name}: ", "type: hyperplane import ", "pickle" if name != "net.pth" else name)
    assert tree(here) == before and not (here / "sprung").exists()


def test_a_folder_of_weights_is_no_run_and_no_data(here: Path, hyperplane: Command) -> None:
    refused(hyperplane("predict", "one.png", "one.png"), "one.png: is a file, expected a run folder")
    (here / "saved").mkdir()
    (here / "net.pth").rename(here / "saved" / "pytorch_model.bin")
    for typed in (
        "predict saved one.png",
        "evaluate saved",
        "explain saved",
        "train digits --from saved",
        "train saved",
    ):
        refused(hyperplane(*typed.split()), "saved/pytorch_model.bin", "type: hyperplane import ")
