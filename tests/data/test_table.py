"""Tables and labelled points."""

from __future__ import annotations

import json
import pickle
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hyperplane import data
from hyperplane.contracts import Split
from hyperplane.data import points
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe
from tests.data import makers

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def _write(path: Path, text: str) -> DataRecipe:
    path.write_bytes(text.encode())
    return DataRecipe(source=str(path))


def _numbers(rows: int = 40) -> str:
    return "".join(f"{i},{i * 0.5},{'no' if i % 2 else 'yes'}\n" for i in range(rows))


def test_a_table_of_numbers_and_categories(tmp_path: Path) -> None:
    path = makers.animals(tmp_path / "animals.csv")
    source = data.open(DataRecipe(source=str(path), target="animal"))
    description = source.description
    assert description.kind == "table" and description.classes == ("bird", "cat")
    assert description.encoding["features"] == [
        "legs",
        "weight",
        "weight is missing",
        "colour = blue",
        "colour = green",
        "colour = red",
        "colour is missing or other",
    ]
    assert description.shapes["feature_BD"] == (7,)
    everything = source.batch("train", range(description.splits["train"]))["feature_BD"]
    assert torch.allclose(everything[:, 0].mean(), torch.tensor(0.0), atol=1e-5)
    assert torch.allclose(everything[:, 0].std(unbiased=False), torch.tensor(1.0), atol=1e-4)
    assert torch.equal(everything[:, 3:].sum(1), torch.ones(len(everything)))
    assert any(
        "Missing values in column 'weight': 6 (line 5, 15, 25, 35, 45 and more)" in note for note in description.notes
    )
    row = source.show("train", 0)
    assert isinstance(row, dict) and row["colour"] in ("red", "green", "blue", "")
    assert source.sample_name("train", 0).startswith("line ")
    json.dumps(description.encoding)


def test_missing_numbers_become_the_mean_and_an_indicator(tmp_path: Path) -> None:
    path = makers.animals(tmp_path / "animals.csv")
    source = data.open(DataRecipe(source=str(path), target="animal", validation=0, test=0))
    rows = source.batch("train", range(60))["feature_BD"]
    assert torch.equal(rows[:, 2].nonzero()[:, 0], torch.arange(3, 60, 10))
    assert rows[3, 1] == 0 and rows[4, 1] != 0


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_separators_line_ends_quotes_and_the_byte_order_mark(tmp_path: Path, separator: str, end: str) -> None:
    text = "a,b,target\n" + _numbers()
    text = text.replace(",", separator).replace("\n", end).replace("yes", f'"y{separator}""e""{end}s"')
    recipe = _write(tmp_path / "t.txt", "\ufeff" + text + end)
    source = data.open(recipe)
    assert source.description.encoding["features"] == ["a", "b"]
    assert len(source.description.classes) == 2
    assert source.sample_name("train", 0) == "line 2"


def test_decimal_commas_are_understood(tmp_path: Path) -> None:
    recipe = _write(tmp_path / "t.csv", "a;b;y\n" + "".join(f"{i},5;{i};{'uv'[i % 2]}\n" for i in range(30)))
    source = data.open(recipe)
    assert source.description.encoding["features"] == ["a", "b"]
    assert any("decimal comma" in note for note in source.description.notes)


@pytest.mark.parametrize(
    "cells, classes",
    [
        (["0", "1"], ("0", "1")),
        (["-1", "1"], ("-1", "1")),
        (["1.0", "0.0"], ("0", "1")),
        (["10", "9", "1"], ("1", "9", "10")),
        (["true", "false"], ("false", "true")),
        ([str(i) for i in range(40)], ()),
        (["1.5", "2.5"], ()),
    ],
)
def test_whether_a_target_is_a_class(tmp_path: Path, cells: list[str], classes: tuple[str, ...]) -> None:
    rows = "".join(f"{i * 0.1:.1f},{cells[i % len(cells)]}\n" for i in range(60))
    description = data.open(_write(tmp_path / "t.csv", "a,Target\n" + rows)).description
    assert description.classes == classes
    assert description.target == ("label_B" if classes else "value_BK")
    assert any(note.startswith("Target 'Target' is a ") for note in description.notes)


def test_a_number_to_predict_keeps_its_unit(tmp_path: Path) -> None:
    rows = "".join(f"{i},{3 * i + 0.5}\n" for i in range(50))
    source = data.open(replace(_write(tmp_path / "t.csv", "a,price\n" + rows), target="price"))
    description = source.description
    value = source.batch("train", range(description.splits["train"]))["value_BK"]
    assert value.shape == (35, 1) and description.target_names == ("price",)
    assert np.isclose(value.mean(), description.target_mean[0]) and np.isclose(
        value.std(unbiased=False), description.target_std[0]
    )


def test_the_kind_of_target_can_be_forced(tmp_path: Path) -> None:
    rows = "".join(f"{i * 0.1:.1f},{i % 5}\n" for i in range(60))
    _write(tmp_path / "t.csv", "a,y\n" + rows)
    forced = data.open(DataRecipe(source=str(tmp_path / "t.csv"), options={"kind": "number"}))
    assert forced.description.target == "value_BK"
    with pytest.raises(UserError, match="did you mean 'kind'"):
        data.open(DataRecipe(source=str(tmp_path / "t.csv"), options={"kin": "number"}))


def test_columns_that_cannot_teach_are_left_out_and_rows_without_target_too(tmp_path: Path) -> None:
    rows = "".join(f"{i},name{i},,7,{i * 0.3:.1f},{'' if i == 4 else 'ab'[i % 2]}\n" for i in range(40))
    source = data.open(_write(tmp_path / "t.csv", "id,name,empty,same,a,class\n" + rows))
    assert source.description.encoding["features"] == ["same", "a"]
    told = " ".join(source.description.notes)
    for said in ("'id' was left out", "'name' was left out", "'empty' was left out", "'same' has the same value"):
        assert said in told
    assert "Rows without a target were left out: 1 (line 6)" in told
    assert sum(source.description.splits.values()) == 39


def test_parquet_is_the_same_as_csv(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    weight = [None if i % 7 == 0 else i * 0.1 for i in range(50)]
    colour = [None if i % 9 == 0 else "rg"[i % 2] for i in range(50)]
    flag = [i % 2 == 0 for i in range(50)]
    table = pyarrow.table({"count": list(range(50)), "weight": weight, "colour": colour, "target": flag})
    parquet.write_table(table, tmp_path / "t.parquet")
    lines = ["count,weight,colour,target"]
    for i in range(50):
        lines.append(f"{i},{'' if weight[i] is None else weight[i]},{colour[i] or ''},{flag[i]}")
    text = data.open(_write(tmp_path / "t.csv", "\n".join(lines)))
    binary = data.open(DataRecipe(source=str(tmp_path / "t.parquet")))
    assert binary.description.encoding == text.description.encoding
    for split in SPLITS:
        which = range(text.description.splits[split])
        assert torch.equal(binary.batch(split, which)["feature_BD"], text.batch(split, which)["feature_BD"])
    assert binary.sample_name("train", 0).startswith("row ")


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"pip install 'hyperplane\[parquet\]'"):
        data.open(DataRecipe(source=str(tmp_path / "t.parquet")))


def test_new_rows_are_encoded_as_those_trained_on(tmp_path: Path) -> None:
    path = makers.animals(tmp_path / "animals.csv")
    source = data.open(DataRecipe(source=str(path), target="animal", validation=0, test=0))
    encoded = data.encode([path], source.description)
    assert torch.equal(encoded.batch()["feature_BD"], source.batch("train", range(60))["feature_BD"])
    assert encoded.names[0].endswith("animals.csv line 2") and not encoded.batch().fields.keys() & {"label_B"}
    assert encoded.show(0) == {"legs": "4", "weight": "1.00", "colour": "red", "animal": "cat"}

    new = data.encode(b"extra,colour,weight,legs\n1,purple,?,2\n", source.description)
    assert new.names == ("stdin line 2",)
    assert new.batch()["feature_BD"][0, 1:].tolist() == [0, 1, 0, 0, 0, 1]
    told = " ".join(new.notes)
    assert "'purple'" in told and "ignored: 'extra'" in told and "column 'weight': 1 (line 2)" in told


def test_a_new_row_that_lacks_a_column_is_refused(tmp_path: Path) -> None:
    source = data.open(DataRecipe(source=str(makers.animals(tmp_path / "animals.csv")), target="animal"))
    with pytest.raises(UserError, match=r"standard input: lacks 'legs', 'colour'.*did you mean 'leg'"):
        data.encode(b"leg,weight\n1,2\n", source.description)
    with pytest.raises(UserError, match="line 2, column 'legs': found 'four'"):
        data.encode(b"legs,weight,colour\nfour,2,red\n", source.description)


def test_generated_points_are_what_they_say() -> None:
    separable = data.open(DataRecipe(source="points-separable", options={"samples": 500}))
    assert separable.description.kind == "points" and separable.description.classes == ("0", "1")
    table = points.generate(DataRecipe(source="points-separable"))
    point_N2 = np.array([table["x1"], table["x2"]], float).T
    distance_N = (point_N2 @ points.NORMAL + points.OFFSET) / np.linalg.norm(points.NORMAL)
    assert np.abs(distance_N).min() >= points.MARGIN
    assert np.array_equal(np.array(table["label"]) == "1", distance_N > 0)

    outliers = points.generate(DataRecipe(source="points-outliers"))
    assert sum(a != b for a, b in zip(outliers["label"], table["label"], strict=True)) == 30

    region = points.generate(DataRecipe(source="points-region", options={"labels": "-1,1"}))
    point_N2 = np.array([region["x1"], region["x2"]], float).T
    value_N = 100 * (point_N2[:, 1] - point_N2[:, 0] ** 2) ** 2 + (1 - point_N2[:, 0]) ** 2
    assert np.array_equal(np.array(region["label"]) == "1", value_N < 0.5)
    assert region["label"].count("1") == 500 and set(region["label"]) == {"1", "-1"}
    assert np.isclose(value_N[value_N < 0.5].mean(), 0.25, atol=0.02)  # uniform over the region


def test_generated_points_follow_the_seed_and_the_options() -> None:
    first, again, other = (
        data.open(DataRecipe(source="points-region", seed=seed, options={"samples": 50, "noise": 0.1}))
        for seed in (1, 1, 2)
    )
    rows = range(first.description.splits["train"])
    assert torch.equal(first.batch("train", rows)["feature_BD"], again.batch("train", rows)["feature_BD"])
    assert not torch.equal(first.batch("train", rows)["feature_BD"], other.batch("train", rows)["feature_BD"])
    for options in ({"sample": 5}, {"samples": 0}, {"samples": "many"}, {"noise": float("nan")}):
        with pytest.raises(UserError, match=r"^data\.options"):
            data.open(DataRecipe(source="points-region", options=options))


def test_points_in_a_file_keep_their_labels(tmp_path: Path) -> None:
    rows = "".join(f"{i * 0.1},{-i},{1 if i % 3 else -1}\n" for i in range(30))
    recipe = _write(tmp_path / "p.csv", "X,Y,side\n" + rows)
    source = data.open(recipe)
    assert source.description.format == "points" and source.description.classes == ("-1", "1")
    row = source.show("train", 0)
    assert isinstance(row, dict) and row.keys() == {"X", "Y", "side"}
    assert data.encode(b"X,Y\n1,2\n", source.description).batch()["feature_BD"].shape == (1, 2)
    with pytest.raises(UserError, match=r"--data\.format table"):
        data.open(DataRecipe(source=recipe.source, target="Y"))


def test_a_source_of_rows_travels_to_worker_processes(tmp_path: Path) -> None:
    source = data.open(DataRecipe(source=str(makers.animals(tmp_path / "animals.csv")), target="animal"))
    there = pickle.loads(pickle.dumps(source))
    assert torch.equal(there.batch("test", [1])["feature_BD"], source.batch("test", [1])["feature_BD"])
