"""A run folder: written and read, resumed, overwritten with care, and every damage named without running anything."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from hyperplane.errors import UserError
from hyperplane.recipe import Recipe
from hyperplane.runs.folder import RunFolder
from hyperplane.runs.records import Wrong

Made = Callable[..., RunFolder]


def _edit(path: Path, **changes: Any) -> None:
    tree = json.loads(path.read_text())
    path.write_text(json.dumps({**tree, **changes}))


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))


def _said(folder: RunFolder) -> str:
    with pytest.raises(UserError) as caught:
        folder.verify()
    assert "\n" not in str(caught.value)
    return str(caught.value)


class _Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


# Round trips


def test_every_piece_comes_back_as_it_was_written(tmp_path: Path, run_of: Made) -> None:
    folder = run_of(tmp_path / "digits")
    folder.verify()
    state = folder.read_model()
    folder.write_recipe(recipe := folder.read_recipe())
    folder.write_description(description := folder.read_description())
    folder.write_environment(environment := folder.read_environment())
    folder.write_worst(worst := folder.read_worst())
    folder.write_model(state)
    folder.verify()
    assert (recipe, description) == (folder.read_recipe(), folder.read_description())
    assert (environment, worst) == (folder.read_environment(), folder.read_worst())
    assert description.shapes["label_B"] == () and isinstance(recipe, Recipe)
    assert state.keys() == {"0.weight", "0.bias"} and state["0.weight"].shape == (10, 64)
    assert folder.read_evaluation()["probability_BK"].shape == (360, 10)
    result = folder.read_result()
    assert result and result.samples == 360 and next(iter(result.metrics)) == "accuracy"


def test_shared_and_transposed_weights_are_kept(tmp_path: Path) -> None:
    weight = torch.arange(6.0).reshape(2, 3)
    folder = RunFolder.create(tmp_path / "run")
    folder.write_model({"a": weight, "b": weight, "c": weight.T})
    assert torch.equal(folder.read_model()["c"], weight.T)


def test_a_copied_folder_is_still_whole(tmp_path: Path, run_of: Made) -> None:
    made = run_of(tmp_path / "digits")
    result = made.read_result()
    made.path.rename(tmp_path / "elsewhere")
    moved = RunFolder(tmp_path / "elsewhere")
    moved.verify()
    assert moved.read_result() == result is not None


# Metrics


def _step(step: int, loss: float = 0.5) -> dict[str, Any]:
    return {"kind": "step", "step": step, "epoch": step / 4, "loss": loss, "learning_rate": 0.1, "seconds": 0.1}


def test_metrics_are_cut_back_for_a_resumed_run(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run")
    for step in (1, 2, 3, 4):
        folder.append_metrics(_step(step))
    folder.append_metrics({"kind": "validation", "step": 3, "epoch": 0.75, "loss": 0.4, "accuracy": 0.9})
    folder.append_metrics(
        {"kind": "result", "split": "test", "samples": 1, "metrics": {}, "seconds": 1.0, "parameters": 2, "steps": 3}
    )
    with folder.metrics.open("a") as file:
        file.write('{"kind": "step", "st')
    assert len(folder.read_metrics()) == 6
    folder.truncate_metrics(3)
    assert [(r["kind"], r["step"]) for r in folder.read_metrics()] == [
        ("step", 1),
        ("step", 2),
        ("step", 3),
        ("validation", 3),
    ]
    assert folder.metrics.read_bytes().endswith(b"}\n")


def test_metrics_of_a_run_that_has_not_begun(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run")
    assert folder.read_metrics() == [] and folder.read_result() is None and folder.read_worst() == []
    folder.truncate_metrics(0)
    assert folder.metrics.read_bytes() == b""


def test_a_number_that_json_cannot_say_is_null_and_comes_back_as_nan(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run")
    folder.append_metrics(_step(1, math.inf))
    assert '"loss": null' in folder.metrics.read_text()
    assert math.isnan(folder.read_metrics()[0]["loss"])


def test_a_full_disk_leaves_whole_records(tmp_path: Path) -> None:
    """In a process that may write files of no more than 4 KiB."""
    program = (
        "import resource, sys\n"
        "from hyperplane.runs.folder import RunFolder\n"
        "folder = RunFolder.create(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "record = {'kind': 'step', 'step': 1, 'epoch': 1, 'loss': 1, 'learning_rate': 1, 'seconds': 1}\n"
        "try:\n"
        "    while True:\n"
        "        folder.append_metrics(record)\n"
        "except ValueError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "run")], capture_output=True, text=True, check=True
    )
    folder = RunFolder(tmp_path / "run")
    assert f"{folder.metrics}: no space left to write it" in done.stdout and folder.resume in done.stdout
    assert folder.metrics.read_bytes().endswith(b"}\n") and len(folder.read_metrics()) > 10


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "metrics.jsonl:2: is not JSON"),
        ("[1]", "metrics.jsonl:2: is not a record"),
        ('{"kind": "other"}', "metrics.jsonl:2: is not a record"),
        ('{"kind": ["step"]}', "metrics.jsonl:2: is not a record"),
        (json.dumps({**_step(2), "los": 1}), "has no field 'los'; did you mean 'loss'?"),
        (json.dumps({"kind": "validation", "step": 2, "epoch": 1}), "lacks the field 'loss'"),
        (json.dumps({**_step(2), "loss": "low"}), 'metrics.jsonl:2.loss: found "low", expected a number'),
        (json.dumps({**_step(2), "step": 1.5}), "metrics.jsonl:2.step: found 1.5, expected a whole number"),
        ('{"kind": "result", "split": "test"}', "metrics.jsonl:2: lacks the field 'samples'"),
        ("[" * 5000, "metrics.jsonl:2: is not"),
        ("9" * 5000, "metrics.jsonl:2: is not"),
        ("\udcff", "metrics.jsonl:2: is not JSON"),
    ],
)
def test_a_broken_record_is_named_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    folder = RunFolder.create(tmp_path / "run")
    folder.append_metrics(_step(1))
    with folder.metrics.open("ab") as file:
        file.write(line.encode(errors="surrogateescape") + b"\n")
    with pytest.raises(UserError) as caught:
        folder.read_metrics()
    assert said in str(caught.value) and "\n" not in str(caught.value)


# Making and overwriting


def test_a_run_is_not_overwritten_unasked(tmp_path: Path, run_of: Made) -> None:
    folder = run_of(tmp_path / "digits")
    with pytest.raises(UserError, match=r"--resume .*digits; to replace it add --overwrite"):
        RunFolder.create(folder.path)
    folder.verify()
    (outside := tmp_path / "mine.txt").write_text("mine")
    (folder.path / "link").symlink_to(outside)
    (folder.path / "more").symlink_to(tmp_path, target_is_directory=True)
    again = RunFolder.create(folder.path, overwrite=True)
    assert list(again.path.iterdir()) == []
    assert outside.read_text() == "mine"


@pytest.mark.parametrize("recipe", [None, '{"flour": 500}', "not JSON", '["data", "task", "net", "training"]'])
def test_a_folder_that_is_no_run_is_never_emptied(tmp_path: Path, recipe: str | None) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    if recipe is not None:
        (tmp_path / "photos" / "recipe.json").write_text(recipe)
    for overwrite in (False, True):
        with pytest.raises(UserError, match="is not empty and holds no run, so it is left alone"):
            RunFolder.create(tmp_path / "photos", overwrite=overwrite)
    assert (tmp_path / "photos" / "cat.jpg").read_bytes() == b"cat"


def test_an_empty_folder_may_become_a_run_and_a_file_may_not(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".recipe.json.part").write_text("left by a run that was killed at once")
    RunFolder.create(tmp_path / "empty").write_recipe(Recipe())
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match=r"file is a file, expected a new folder"):
        RunFolder.create(tmp_path / "file", overwrite=True)
    with pytest.raises(UserError, match=r"below: .*file is a file"):
        RunFolder.create(tmp_path / "file" / "below")


# Damage: how to bring it about, and what is said

DAMAGE: dict[str, tuple[Callable[[RunFolder], object], str]] = {
    "not finished": (lambda f: f.manifest.unlink(), "is unfinished, it has no manifest.json"),
    "no recipe": (lambda f: f.recipe.unlink(), "is not a run folder, it has no recipe.json"),
    "half a recipe": (lambda f: f.recipe.write_text(f.recipe.read_text()[:100]), "recipe.json: is not JSON"),
    "a recipe of bytes": (lambda f: f.recipe.write_bytes(b"\xff\xfe\x00"), "recipe.json: is not JSON"),
    "a recipe too deep": (lambda f: f.recipe.write_text('{"a":' * 100_000), "recipe.json: is not JSON"),
    "a list for a recipe": (lambda f: f.recipe.write_text("[]"), "recipe.json: found [], expected an object"),
    "a newer recipe": (lambda f: _edit(f.recipe, version=99), "has version 99, this hyperplane reads up to 1"),
    "a newer layout": (lambda f: _edit(f.manifest, version=2), "manifest.json: has version 2"),
    "an unknown field": (lambda f: _edit(f.recipe, sede=3), "has no field 'sede'; did you mean 'seed'?"),
    "a wrong type": (
        lambda f: _edit(f.recipe, seed="three"),
        'recipe.json.seed: found "three", expected a whole number',
    ),
    "an altered recipe": (lambda f: _edit(f.recipe, seed=3), "recipe.json: is damaged, its hash"),
    "half a manifest": (lambda f: f.manifest.write_text("{"), "manifest.json: is not JSON"),
    "an empty manifest": (lambda f: _edit(f.manifest, files={}), "manifest.json: does not list recipe.json"),
    "a manifest without files": (lambda f: f.manifest.write_text("{}"), "manifest.json: lacks the field 'files'"),
    "a missing model": (lambda f: f.model.unlink(), "model.safetensors: is missing"),
    "a flipped bit": (lambda f: _flip(f.model), "model.safetensors: is damaged, its hash"),
    "a cut model": (lambda f: f.model.write_bytes(f.model.read_bytes()[:-50]), "model.safetensors: is damaged"),
    "an empty model": (lambda f: f.model.write_bytes(b""), "model.safetensors: is damaged"),
    "a text for a model": (lambda f: f.model.write_text("version https://git-lfs"), "does not begin as safetensors"),
    "cut metrics": (lambda f: f.metrics.write_bytes(f.metrics.read_bytes()[:-9]), "metrics.jsonl: is damaged"),
    "a cut evaluation": (lambda f: f.evaluation().write_bytes(b"{}"), "evaluation/test.safetensors: is damaged"),
    "altered data": (lambda f: _edit(f.data, name="others"), "data.json: is damaged"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_named(tmp_path: Path, run_of: Made, kind: str) -> None:
    folder = run_of(tmp_path / "digits", epochs=1)
    damage, said = DAMAGE[kind]
    damage(folder)
    found = _said(folder)
    assert said in found and str(folder.path) in found


def test_an_unfinished_run_says_how_to_finish_it(tmp_path: Path, run_of: Made) -> None:
    folder = run_of(tmp_path / "digits", epochs=1)
    folder.manifest.unlink()
    assert _said(folder).endswith(f"type: hyperplane train --resume {folder.path}")


def test_a_misspelt_run_brings_the_nearest_one(tmp_path: Path, run_of: Made) -> None:
    run_of(tmp_path / "digits", epochs=1)
    (tmp_path / "digit-photos").mkdir()
    assert "there is no such run folder; did you mean 'digits'?" in _said(RunFolder(tmp_path / "digts"))
    assert "there is no such run folder; there is none" in _said(RunFolder(tmp_path / "nowhere" / "digits"))


@pytest.mark.parametrize("piece", ["data", "environment"])
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": 7}, "has version 7, this hyperplane reads up to 1"),
        ({"version": "1"}, 'version: found "1", expected a whole number'),
        ({"surprise": 1}, "has no field 'surprise'"),
    ],
)
def test_each_piece_is_read_strictly(
    tmp_path: Path, run_of: Made, piece: str, changes: dict[str, Any], said: str
) -> None:
    folder = run_of(tmp_path / "digits", epochs=1)
    _edit(getattr(folder, piece), **changes)
    folder.finish()
    assert said in _said(folder)


@pytest.mark.parametrize("name", ["splits", "hashes", "format"])
def test_a_field_that_data_need_is_missed(tmp_path: Path, run_of: Made, name: str) -> None:
    folder = run_of(tmp_path / "digits", epochs=1)
    _edit(folder.data, **{name: 3})
    with pytest.raises(UserError, match=rf"data.json.{name}: found 3"):
        folder.read_description()
    tree = json.loads(folder.data.read_text())
    del tree["name"]
    folder.data.write_text(json.dumps({**tree, name: {} if name != "format" else "x"}))
    with pytest.raises(UserError, match="lacks the field 'name'"):
        folder.read_description()


@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
def test_a_pickle_named_safetensors_is_refused_and_not_run(tmp_path: Path, run_of: Made, protocol: int) -> None:
    folder, sprung = run_of(tmp_path / "digits", epochs=1), tmp_path / "sprung"
    folder.model.write_bytes(pickle.dumps(_Trap(sprung), protocol=protocol))
    said = _said(folder)
    assert "is a pickle, which can run code when read" in said and f"hyperplane import {folder.model}" in said
    with pytest.raises(UserError, match="is a pickle"):
        folder.read_model()
    folder.finish()
    assert "is a pickle" in _said(folder)
    assert not sprung.exists()


def test_a_checkpoint_of_torch_is_refused_and_not_run(tmp_path: Path, run_of: Made) -> None:
    folder, sprung = run_of(tmp_path / "digits", epochs=1), tmp_path / "sprung"
    with zipfile.ZipFile(folder.model, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(_Trap(sprung)))
    assert "model.safetensors: is a pickle" in _said(folder)
    assert not sprung.exists()


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.pkl", "model.bin", "model.ckpt"])
def test_a_pickle_in_the_model_s_place_is_named(tmp_path: Path, run_of: Made, name: str) -> None:
    folder = run_of(tmp_path / "digits", epochs=1)
    folder.model.rename(folder.path / name)
    folder.manifest.unlink()
    assert f"{name}: is a pickle, which can run code when read" in _said(folder)


@pytest.mark.parametrize("length", [0x0280, 0x0380])
def test_a_header_whose_length_looks_like_a_pickle_is_none(tmp_path: Path, length: int) -> None:
    """Lengths of 640 and 896 bytes begin with the bytes of a pickle of protocol 2 and 3."""
    folder = RunFolder.create(tmp_path / "run")
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).ljust(length).encode()
    folder.model.write_bytes(length.to_bytes(8, "little") + header + b"\0\0\0\0")
    assert folder.read_model()["a"].tolist() == [0.0]


@pytest.mark.parametrize(
    "name", ["../outside.txt", "/etc/hostname", "plots/../../outside.txt", "link", "plots/link", "", "a\0b"]
)
def test_no_path_leads_out_of_the_folder(tmp_path: Path, run_of: Made, name: str) -> None:
    folder = run_of(tmp_path / "digits", epochs=1)
    (tmp_path / "outside.txt").write_text("secret")
    (folder.path / "link").symlink_to(tmp_path / "outside.txt")
    (folder.plots / "link").symlink_to(tmp_path / "outside.txt")
    with pytest.raises(UserError, match="lies outside of it"):
        folder.inside(name)
    files = json.loads(folder.manifest.read_text())["files"]
    _edit(folder.manifest, files={**files, name: "0" * 64})
    assert "lies outside of it" in _said(folder)


def test_the_worst_samples_are_read_strictly(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run")
    folder.write_worst([Wrong("a", "1", "2", math.inf)])
    assert folder.read_worst() == [Wrong("a", "1", "2", None)]
    folder.worst.write_text(json.dumps([{**dataclasses.asdict(Wrong("a", 1, 2, 0.5)), "pictures": "x"}]))
    with pytest.raises(UserError, match=r"has no field 'pictures'; did you mean 'picture'\?"):
        folder.read_worst()
    folder.worst.write_text('[{"name": "a"')
    with pytest.raises(UserError, match=r"worst\.json: is not JSON"):
        folder.read_worst()
