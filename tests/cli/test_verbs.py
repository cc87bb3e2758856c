"""What works: every verb on every kind of data, for people and for programs."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from hyperplane.cli.blocks.recipes import parse_recipe
from hyperplane.cli.train import Train
from hyperplane.recipe import AugmentRecipe, NetRecipe, Recipe
from tests.cli.commands import ROOT, Answer, Command, environment, in_a_process, tree


def _weights(run: Path) -> str:
    return hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()


def _objects(answer: Answer) -> list[dict]:
    assert answer.status == 0, answer.err
    return [json.loads(line) for line in answer.out.splitlines()]


def _digit() -> bytes:
    stream = io.BytesIO()
    Image.new("L", (8, 8), 128).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("typed", "run", "says"),
    [
        ("train animals.csv --target animal --epochs 1 --name a", "runs/a", ("animals.csv (table)", "2 classes")),
        ("train animals.csv --target weight --task regression --epochs 1 --name w", "runs/w", ("predicting weight",)),
        ("train pets --epochs 1 --runs other", "other/pets", ("pets (folder)", "lenet", "accuracy")),
        ("train digits --epochs 1 --net perceptron", "runs/digits-perceptron", ("650 weights",)),
        ("train points-region --data.samples 200 --epochs 1", "runs/points-region", ("points-region (points)",)),
        ("train --recipe digits --epochs 1 --name again", "runs/again", ("digits (digits)", "lenet, 61,706 weights")),
    ],
)  # fmt: skip
def test_train(typed: str, run: str, says: tuple[str, ...], place: Path, hyperplane: Command) -> None:
    answer = hyperplane(*typed.split())
    assert answer.status == 0, answer.err
    lines = answer.err.splitlines()
    assert lines[0].strip() == lines[-1].strip() == run, "the folder is named first and last"
    assert f"{run}/report.html" in answer.err and f"hyperplane predict {run}" in answer.err
    assert answer.out == "", "standard output is for programs"
    for word in says:
        assert word in answer.err
    for name in ("recipe.json", "environment.json", "data.json", "metrics.jsonl", "model.safetensors", "report.html"):
        assert (place / run / name).is_file()


def test_brackets_in_names_are_no_markup(empty_folder: Path, hyperplane: Command) -> None:
    rows = "".join(f"{i},{i % 4 or ''},[/x]{i % 2}\n" for i in range(40))
    (empty_folder / "b.csv").write_text("[red],[/a],cl[/]\n" + rows)
    answer = hyperplane("train", "b.csv", "--target", "cl[/]", "--epochs", "1", "--name", "r[bold]")
    assert answer.status == 0, answer.err
    assert answer.err.splitlines()[0] == "runs/r[bold]" and "'[/a]'" in answer.err
    for typed in (
        ["evaluate", "runs/r[bold]"],
        ["compare", "runs/r[bold]", "runs/r[bold]"],
        ["check", "b.csv", "--target", "cl[/]"],
    ):
        answer = hyperplane(*typed)
        assert answer.status == 0, answer.err
        assert "r[bold]" in answer.out or "[/x]0" in answer.out


@pytest.mark.parametrize("on", [False, True])
def test_a_recipes_switch_turns_both_ways_whatever_it_was(on: bool) -> None:
    base = replace(Recipe(), net=NetRecipe(frozen=on), augment=AugmentRecipe(flip=on))
    for typed, expected in (
        (["--frozen", "--augment.flip"], True),
        (["--net.frozen"], True),
        (["--no-frozen"], False),
        (["--net.no-frozen", "--augment.no-flip"], False),
    ):
        said = parse_recipe(Train, "train", typed, base, "")[1]
        assert said.net.frozen is expected
        assert len(typed) == 1 or said.augment.flip is expected


def test_overwrite_replaces_a_run(place: Path, hyperplane: Command) -> None:
    before = _weights(place / "runs" / "animals")
    typed = ["train", "animals.csv", "--target", "animal", "--epochs", "2", "--overwrite"]
    assert hyperplane(*typed).status == 0
    assert _weights(place / "runs" / "animals") == before, "the same seed gives the same net"
    assert hyperplane(*typed, "--seed", "1").status == 0
    assert _weights(place / "runs" / "animals") != before


def test_a_recipe_repeats_a_run(place: Path, hyperplane: Command) -> None:
    answer = hyperplane("train", "--recipe", "runs/digits/recipe.json", "--name", "again")
    assert answer.status == 0, answer.err
    assert _weights(place / "runs" / "again") == _weights(place / "runs" / "digits")


@pytest.mark.parametrize("typed", ["--resume runs/animals", "animals --resume", "--resume --name animals"])
def test_resume_by_path_and_by_name(typed: str, place: Path, hyperplane: Command) -> None:
    run = place / "runs" / "animals"
    before = _weights(run)
    for name in ("manifest.json", "model.safetensors", "report.html"):
        (run / name).unlink()
    answer = hyperplane("train", *typed.split())
    assert answer.status == 0, answer.err
    assert _weights(run) == before and (run / "report.html").is_file()
    whole = tree(run)
    assert hyperplane("train", *typed.split()).status == 0
    assert tree(run) == whole, "a finished run is left as it is"


def test_ctrl_c_says_how_to_go_on_and_nothing_is_lost(place: Path, hyperplane: Command) -> None:
    typed = ["train", "points-region", "--data.samples", "2000", "--epochs", "40", "--batch", "16"]
    child = subprocess.Popen(
        [sys.executable, "-m", "hyperplane", *typed],
        cwd=place, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    metrics = place / "runs" / "points-region" / "metrics.jsonl"
    while child.poll() is None and not (metrics.is_file() and b"step" in metrics.read_bytes()):
        os.sched_yield()
    child.send_signal(signal.SIGINT)
    out, err = (text.decode() for text in child.communicate(timeout=60))
    assert child.returncode == 130, err
    assert out == "" and "Traceback" not in err
    said = err.strip().splitlines()[-1]
    assert said == "stopped; nothing is lost; to go on, type: hyperplane train --resume runs/points-region"
    resumed = hyperplane(*said.rpartition("hyperplane ")[2].split())
    assert resumed.status == 0 and "resumed   at step" in resumed.err, resumed.err
    assert hyperplane(*typed, "--name", "whole").status == 0
    assert _weights(place / "runs" / "points-region") == _weights(place / "runs" / "whole")


def test_predict_a_table(place: Path, hyperplane: Command) -> None:
    lines = hyperplane("predict", "runs/animals", "animals.csv").out.splitlines()
    assert len(lines) == 60
    assert re.fullmatch(r"animals\.csv line 2\t(cat|bird)\t\d+\.\d%", lines[0])
    shares = hyperplane("predict", "runs/animals", "animals.csv", "--probabilities").out.splitlines()[0].split("\t")[2:]
    assert {share.split()[0] for share in shares} == {"cat", "bird"}
    assert sum(float(share.split()[1].rstrip("%")) for share in shares) == pytest.approx(100, abs=0.2)


def test_predict_from_standard_input(place: Path, hyperplane: Command) -> None:
    table = (place / "animals.csv").read_bytes()
    said = _objects(hyperplane("predict", "runs/animals", "-", "--json", stdin=table))
    assert len(said) == 60 and said == [
        {**one, "sample": one["sample"].replace("animals.csv", "stdin")}
        for one in _objects(hyperplane("predict", "runs/animals", "animals.csv", "--json"))
    ]
    without = "\n".join(",".join(row[:-1]) for row in csv.reader(table.decode().splitlines()))
    assert len(_objects(hyperplane("predict", "runs/animals", "-", "--json", stdin=without.encode()))) == 60
    (picture,) = _objects(hyperplane("predict", "runs/digits", "-", "--json", stdin=_digit()))
    assert picture["class"] in "0123456789" and picture["sample"] == "stdin"
    assert sum(picture["probabilities"].values()) == pytest.approx(1)


def test_predict_pictures(place: Path, hyperplane: Command) -> None:
    (place / "digit.png").write_bytes(_digit())
    assert len(hyperplane("predict", "runs/digits", "digit.png").out.splitlines()) == 1
    said = _objects(hyperplane("predict", "runs/pets", "pets", "one.png", "--json"))
    assert len(said) == 25 and said[-1]["sample"] == "one.png"
    assert {one["class"] for one in said} <= {"cat", "dog"}
    assert all(one["probability"] == max(one["probabilities"].values()) for one in said)


def test_predict_goes_on_past_what_cannot_be_read(place: Path, hyperplane: Command) -> None:
    (place / "new").mkdir()
    for name, content in {"a.png": _digit(), "b.png": b"no picture", "c.png": _digit(), "d.png": b""}.items():
        (place / "new" / name).write_bytes(content)
    answer = hyperplane("predict", "runs/digits", "new", "missing.png")
    assert answer.status == 2
    assert [line.split("\t")[0] for line in answer.out.splitlines()] == ["new/a.png", "new/c.png"]
    *named, count = answer.err.splitlines()
    assert [line.split(": ")[:2] for line in named] == [
        ["error", name] for name in ("new/b.png", "new/d.png", "missing.png")
    ]
    assert count == "error: 3 of 5 samples could not be read, named above"


def test_predict_in_bfloat16_says_how_near_it_is(place: Path, hyperplane: Command) -> None:
    plain = hyperplane("predict", "runs/pets", "pets", "--json")
    assert not plain.err, "few samples are left to the plain net"
    answer = hyperplane("predict", "runs/pets", "pets", "--json", "--precision", "bfloat16")
    refused, used = answer.err.splitlines()
    assert refused.startswith("predict: refused bfloat16: it failed (")
    assert re.match(
        r"predict: bfloat16 by autocast: largest difference of an output \d\.\de-0\d, \d+% keep their class", used
    )
    near = zip(_objects(answer), _objects(plain), strict=True)
    assert all(one["probabilities"] == pytest.approx(other["probabilities"], abs=0.1) for one, other in near)


def test_predict_numbers(place: Path, hyperplane: Command) -> None:
    hyperplane(*["train", "animals.csv", "--target", "weight", "--task", "regression", "--epochs", "1", "--name", "w"])
    line = hyperplane("predict", "runs/w", "animals.csv").out.splitlines()[0]
    assert re.fullmatch(r"animals\.csv line 2\tweight -?[\d.]+", line)
    assert isinstance(_objects(hyperplane("predict", "runs/w", "animals.csv", "--json"))[0]["weight"], float)


def test_evaluate(place: Path, hyperplane: Command) -> None:
    (told,) = _objects(hyperplane("evaluate", "runs/digits", "--json"))
    assert (told["split"], told["samples"]) == ("test", 359)
    records = [json.loads(line) for line in (place / "runs/digits/metrics.jsonl").read_text().splitlines()]
    result = records[-1]["metrics"]
    assert told["metrics"]["accuracy"]["value"] == pytest.approx(result["accuracy"]["value"])
    assert told["metrics"]["log_loss"]["value"] == pytest.approx(result["log_loss"]["value"], rel=1e-4)
    (train,) = _objects(hyperplane("evaluate", "runs/digits", "--split", "train", "--json"))
    assert train["samples"] == 1258
    shown = hyperplane("evaluate", "runs/pets", "--data", "pets").out
    assert "runs/pets on pets: 5 test samples" in shown and "accuracy" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_compare(place: Path, hyperplane: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    hyperplane(*["train", "digits", "--net", "perceptron", "--epochs", "1"])
    (told,) = _objects(hyperplane("compare", "runs/digits", "runs/digits-perceptron", "runs/animals", "--json"))
    assert [run["name"] for run in told["runs"]] == ["digits", "digits-perceptron", "animals"]
    assert told["differing"]["net.name"] == ["lenet", "perceptron", "mlp"]
    assert told["paired"][0]["samples"] == 359 and told["paired"][1]["reason"]
    shown = hyperplane("compare", "runs/digits", "runs/digits-perceptron", "runs/animals").out
    assert "McNemar" in shown and "predict different things" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert shown.count("\n  95% interval") == 5, "an interval fits on its line"


def test_check(place: Path, hyperplane: Command) -> None:
    (told,) = _objects(hyperplane("check", "animals.csv", "--target", "animal", "--json"))
    assert told["format"] == "table" and told["problems"] == [] and told["description"]["classes"] == ["bird", "cat"]
    shown = hyperplane("check", "animals.csv", "--target", "animal").out
    assert "Missing values in column 'weight': 6" in shown and shown.endswith("nothing is wrong\n")
    assert "class folders of pictures" in hyperplane("check", "pets").out


def test_cost(place: Path, hyperplane: Command) -> None:
    (told,) = _objects(hyperplane("cost", "lenet", "--batch", "2", "--json"))
    assert told["parameters"] == 61_706 and told["parameter_bytes"] == 4 * 61_706 and told["batch"] == 2
    convolutions = 28 * 28 * 6 * 25 + 10 * 10 * 16 * 150
    assert told["flops"] == 2 * (convolutions + 400 * 120 + 120 * 84 + 84 * 10)
    assert "61,706" in hyperplane("cost", "runs/digits", "--batch", "2").out
    assert _objects(hyperplane("cost", "perceptron", "--shape", "5", "--outputs", "3", "--json"))[0]["parameters"] == 18


def test_list(hyperplane: Command) -> None:
    (told,) = _objects(hyperplane("list", "--json"))
    assert set(told) == {"nets", "data", "tasks", "recipes"}
    assert {"lenet", "mlp", "perceptron"} <= {net["name"] for net in told["nets"]}
    shown = hyperplane("list", "data").out
    assert "fashion-mnist" in shown and "points-region" in shown and "lenet" not in shown


@pytest.mark.parametrize("typed", ["list", "list --json", "list nets", "--help", "train --help", "predict --help"])
def test_listing_and_help_import_no_torch(typed: str, empty_folder: Path) -> None:
    program = (
        "import sys, hyperplane.cli\n"
        f"try: status = hyperplane.cli.main({typed.split()!r})\n"
        "except SystemExit as stop: status = stop.code or 0\n"
        "sys.exit(status or 3 * ('torch' in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=empty_folder,
        env=environment(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode() or "torch was imported"
    assert done.stdout and not done.stderr


@pytest.mark.parametrize("verb", ["train", "evaluate", "predict", "check", "compare", "cost", "list"])
def test_every_verb_has_help(verb: str, hyperplane: Command, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        hyperplane(verb, "--help")
    assert not left.value.code
    assert f"usage: hyperplane {verb}" in capsys.readouterr().out
    assert verb in hyperplane("--help").out


def test_help_of_train_shows_the_options_of_the_net(
    empty_folder: Path, hyperplane: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        hyperplane("train", "digits", "--net", "mlp", "--help")
    shown = capsys.readouterr().out
    assert "--net.hidden" in shown and "--net.pooling" not in shown
    with pytest.raises(SystemExit):
        hyperplane("train", "digits", "--net", "lenet", "--task", "classification", "--help")
    shown = capsys.readouterr().out
    assert "--net.hidden [INT" not in shown and "--net.pooling" in shown and "--task.label-smoothing" in shown
    assert "\n$ hyperplane train mnist" in shown, "each example has a line of its own"


def test_a_reader_that_leaves_early(place: Path) -> None:
    table = (place / "animals.csv").read_text().splitlines()
    (place / "long.csv").write_text("\n".join([table[0], *table[1:] * 500]) + "\n")
    done = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$0" -m hyperplane predict runs/animals long.csv | head -1', sys.executable],
        cwd=place, env=environment(), capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.count(b"\n") == 1 and done.returncode == 0
    assert all(line.startswith(b"note: ") for line in done.stderr.splitlines())


def test_the_version(hyperplane: Command) -> None:
    import hyperplane as package

    assert hyperplane("--version").out == f"hyperplane {package.__version__}\n"


def test_a_run_folder_moves(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(place / "runs" / "animals", elsewhere / "copy")
    shutil.move(place / "runs", place / "gone")
    shutil.copy(place / "animals.csv", elsewhere / "new.csv")
    answer = in_a_process("predict", "copy", "new.csv", cwd=elsewhere)
    assert answer.status == 0 and len(answer.out.splitlines()) == 60, answer.err
    answer = in_a_process("evaluate", "copy", "--data", "new.csv", "--json", cwd=elsewhere)
    assert answer.status == 0 and json.loads(answer.out)["samples"] == 60, answer.err


@pytest.mark.parametrize("run", ["digits", "pets", "animals"])
def test_the_report_stands_alone(run: str, workshop: Path) -> None:
    page = (workshop / "runs" / run / "report.html").read_text()
    assert not re.search(r"""(?:src|href|action|data|poster)\s*=\s*["'](?!data:|#)""", page)
    assert "url(" not in page and "@import" not in page and "<script" not in page
    assert str(ROOT) not in page
