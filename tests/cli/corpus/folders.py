"""What is wrong with run folders."""

from __future__ import annotations

from tests.cli.corpus.cases import CHANGED, PICKLE, UNFINISHED, Case, each, flipped, with_field, without, write

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
