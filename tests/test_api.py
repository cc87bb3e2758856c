"""The Python interface: the verbs of the command line, under the same names."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import hyperplane
from tests.data import makers


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> hyperplane.Run:
    """A net that has seen the digits once."""
    runs = tmp_path_factory.mktemp("runs")
    return hyperplane.train("digits", net="lenet", runs=runs, changes={"training.epochs": 1})


@pytest.fixture(scope="module")
def animals(tmp_path_factory: pytest.TempPathFactory) -> hyperplane.Run:
    """A net that has seen a table twice."""
    folder = tmp_path_factory.mktemp("animals")
    table = makers.animals(folder / "animals.csv")
    return hyperplane.train(table, runs=folder / "runs", changes={"data.target": "animal", "training.epochs": 2})


def test_a_perceptron_gives_its_hyperplane_in_the_data_s_own_units(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x_N2 = np.c_[rng.uniform(100, 200, 400), rng.uniform(-50, 50, 400)]
    label_N = (x_N2[:, 0] > 150).astype(int)
    np.savetxt(tmp_path / "far.csv", np.c_[x_N2, label_N], delimiter=",", header="a,b,c", comments="", fmt="%.6g")
    changes = {"data.target": "c"}
    run = hyperplane.train(tmp_path / "far.csv", net="perceptron", runs=tmp_path / "runs", changes=changes)
    distance_B = run.hyperplanes()[0].signed_distance(np.array([[180.0, 0.0], [120.0, 0.0]]))
    assert distance_B == pytest.approx([30, -30], abs=3)


def test_a_net_without_hyperplanes_says_so(digits: hyperplane.Run) -> None:
    with pytest.raises(hyperplane.UserError, match="found lenet5, but hyperplanes"):
        digits.hyperplanes()


def test_a_run_says_what_it_is(digits: hyperplane.Run) -> None:
    assert digits.path.name == "digits" and digits.report.is_file()
    assert digits.classes == tuple("0123456789")
    assert digits.recipe.net.name == "lenet" and digits.recipe.training.epochs == 1
    accuracy = digits.metrics["accuracy"]
    assert accuracy.low < accuracy.value < accuracy.high
    assert {record["kind"] for record in digits.history} == {"step", "validation", "result"}
    assert not digits.net.training and sum(p.numel() for p in digits.net.parameters()) == 61_706
    assert repr(digits).startswith(f"Run({str(digits.path)!r}: accuracy 0.")


def test_a_loaded_run_is_the_run(digits: hyperplane.Run) -> None:
    again = hyperplane.load(digits.path)
    assert again.metrics == digits.metrics and again.recipe == digits.recipe
    for name, weight in again.net.state_dict().items():
        assert torch.equal(weight, digits.net.state_dict()[name])


def test_predict_takes_a_picture_in_any_form(digits: hyperplane.Run, tmp_path: Path) -> None:
    pixels = makers.noise((8, 8))
    picture = Image.fromarray(pixels)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    picture.save(tmp_path / "digit.png")
    said = digits.predict(tmp_path / "digit.png")
    assert said["class"] in digits.classes and sum(said["probabilities"].values()) == pytest.approx(1)
    for form in (str(tmp_path / "digit.png"), stream.getvalue(), picture, pixels):
        assert digits.predict(form) == said
    assert digits.predict([pixels, picture]) == [said, said]
    assert digits.predict(tmp_path) == [said], "a folder holds several"
    assert digits.predict([]) == []
    assert digits.predict(pixels[:, :, None]) == said
    turned = Image.fromarray(np.rot90(pixels, 1))
    turned.getexif()[0x0112] = 6
    assert digits.predict(turned) == said, "a picture is turned as its EXIF orientation says"
    assert digits.predict(picture.convert("CMYK"))["class"] in digits.classes
    colour = digits.predict(makers.noise((20, 30, 3)))
    assert colour["class"] in digits.classes


def test_predict_takes_rows(animals: hyperplane.Run, tmp_path: Path) -> None:
    row = {"legs": 4, "weight": 1.5, "colour": "red"}
    said = animals.predict(row)
    assert said["class"] in ("bird", "cat")
    assert animals.predict([row, {**row, "legs": 2}])[0] == said
    assert animals.predict({**row, "weight": None})["class"] in ("bird", "cat"), "a missing value is no error"
    assert animals.predict(b"legs,weight,colour\n4,1.5,red\n") == said
    (tmp_path / "rows.csv").write_text("legs,weight,colour\n4,1.5,red\n2,,blue\n")
    assert animals.predict(tmp_path / "rows.csv")[0] == said and len(animals.predict(tmp_path / "rows.csv")) == 2


def test_predict_names_what_it_cannot_read(digits: hyperplane.Run, animals: hyperplane.Run) -> None:
    with pytest.raises(hyperplane.UserError, match=r"uint8.*astype"):
        digits.predict(np.zeros((8, 8)))
    with pytest.raises(hyperplane.UserError, match=r"nowhere\.png"):
        digits.predict("nowhere.png")
    with pytest.raises(hyperplane.UserError, match="picture"):
        digits.predict(b"hello")
    with pytest.raises(hyperplane.UserError, match="'legs'"):
        animals.predict({"weight": 1.0, "colour": "red"})


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (3, 8, 8), (8,), (0, 8)])
def test_predict_names_a_shape_that_is_no_picture(shape: tuple[int, ...], digits: hyperplane.Run) -> None:
    with pytest.raises(hyperplane.UserError, match=rf"{re.escape(str(shape))}.*\(H, W\).*list"):
        digits.predict(np.zeros(shape, np.uint8))


def test_evaluate(digits: hyperplane.Run, animals: hyperplane.Run) -> None:
    held_out = digits.evaluate()
    assert held_out["accuracy"].value == pytest.approx(digits.metrics["accuracy"].value)
    assert digits.evaluate(split="train").keys() == held_out.keys()
    assert animals.evaluate(animals.recipe.data.source)["accuracy"].value > 0.5
    with pytest.raises(hyperplane.UserError, match="image samples"):
        animals.evaluate("digits")


def test_train_refuses_what_it_cannot_do(digits: hyperplane.Run, tmp_path: Path) -> None:
    with pytest.raises(hyperplane.UserError, match="--overwrite"):
        hyperplane.train("digits", runs=digits.path.parent)
    with pytest.raises(hyperplane.UserError, match=r"optimizer\.learning_rate.*found -1"):
        hyperplane.train("digits", runs=tmp_path, changes={"optimizer.learning_rate": -1})
    with pytest.raises(hyperplane.UserError, match="did you mean 'lenet'"):
        hyperplane.train("digits", net="lenett", runs=tmp_path)
    with pytest.raises(hyperplane.UserError, match="did you mean 'dropout'"):
        hyperplane.train("digits", net="lenet", runs=tmp_path, changes={"net.options.dropuot": 0.1})
    assert not list(tmp_path.iterdir()), "what is refused leaves nothing behind"


def test_train_tells_whoever_watches(tmp_path: Path) -> None:
    events: list[str] = []
    hyperplane.train(
        "points-region", runs=tmp_path, changes={"training.epochs": 1, "data.options": {"samples": 100}},
        watch=lambda event: events.append(type(event).__name__),
    )  # fmt: skip
    assert events[0] == "Started" and events[-1] == "Finished" and {"Stepped", "Validated"} <= set(events)


def test_the_same_recipe_gives_the_same_net(digits: hyperplane.Run, tmp_path: Path) -> None:
    again = hyperplane.train("digits", recipe=digits.recipe, runs=tmp_path)
    assert (again.path / "model.safetensors").read_bytes() == (digits.path / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("name", "asked", "parameters"),
    [
        ("lenet", {"classes": 10}, 61_706),
        ("lenet5-1998", {"classes": 10}, 61_706),
        ("perceptron", {"classes": 10, "shape": (1, 28, 28)}, 7_850),
        ("perceptron", {"classes": 1, "shape": (2,)}, 3),
        ("mlp", {"classes": 1, "shape": (2,), "hidden": (64, 64)}, 2 * 64 + 64 + 64 * 64 + 64 + 64 + 1),
        ("mlp", {"classes": 1, "shape": (2,), "hidden": (64, 64), "bypass": True}, 4_417),
        ("mlp", {"classes": 3, "shape": (5,), "hidden": ()}, 18),
    ],
)
def test_a_net_by_its_name(name: str, asked: dict, parameters: int) -> None:
    net = hyperplane.net(name, **asked)
    assert isinstance(net, torch.nn.Module) and sum(p.numel() for p in net.parameters()) == parameters
    shape = asked.get("shape", (1, 28, 28))
    assert net(torch.zeros(3, *shape)).shape == (3, asked["classes"])


def test_an_unknown_net_or_option_is_named() -> None:
    with pytest.raises(hyperplane.UserError, match="did you mean 'lenet'"):
        hyperplane.net("lennet")
    with pytest.raises(hyperplane.UserError, match="did you mean 'hidden'"):
        hyperplane.net("mlp", hiden=(3,))


def test_check(tmp_path: Path) -> None:
    pets = makers.class_folders(tmp_path / "pets", {"cat": 3, "dog": 3})
    assert hyperplane.check(pets) == []
    (pets / "cat" / "note.png").write_text("hello")
    (problem,) = hyperplane.check(str(pets))
    assert "cat/note.png" in problem.where and problem.what and problem.next


def test_compare(digits: hyperplane.Run, animals: hyperplane.Run) -> None:
    found = hyperplane.compare(digits.path, animals.path)
    assert [run.name for run in found.runs] == ["digits", "animals"] and found.paired[0].reason is not None
    same = hyperplane.compare(digits.path, str(digits.path)).paired[0]
    assert same.mcnemar is not None and same.mcnemar.p == 1 and same.loss is not None and same.loss.value == 0


def test_cost() -> None:
    found = hyperplane.cost(hyperplane.net("perceptron", classes=3, shape=(5,)), (5,), batch=2)
    assert (found.parameters, found.flops, found.parameter_bytes, found.batch) == (18, 30, 72, 2)
    assert found.forward_ms > 0 and found.step_ms > 0


def test_importing_imports_no_torch(empty_folder: Path) -> None:
    root = str(Path(__file__).parents[1])
    program = f"import sys; sys.path.insert(0, {root!r}); import hyperplane; dir(hyperplane); "
    program += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=empty_folder, timeout=60, check=False).returncode == 0


def test_every_name_is_there() -> None:
    for name in hyperplane.__all__:
        assert getattr(hyperplane, name).__doc__
    with pytest.raises(AttributeError, match="'trian'"):
        hyperplane.trian  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]
