"""The rules of the house that no tool checks: lengths, names, docstrings, safe loading, and what is imported when."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hyperplane import discovery

ROOT = Path(__file__).parent.parent
PACKAGE = sorted((ROOT / "hyperplane").rglob("*.py"))
SOURCES = [p for folder in ("hyperplane", "tests", "benchmarks") for p in (ROOT / folder).rglob("*") if p.is_file()]

RUNS_CODE = {"_pickle", "cPickle", "cloudpickle", "dill", "marshal", "pickle", "shelve", "joblib", "torch.load"}
"""Modules and functions whose loading can run code that came with the data."""


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_file_is_longer_than_800_lines() -> None:
    texts = [p for p in SOURCES if p.suffix in {".py", ".jinja"}]
    long = {_name(p): n for p in texts if (n := len(p.read_text("utf-8").splitlines())) > 800}
    assert not long, f"split these at a seam: {long}"


def test_there_is_no_room_for_odds_and_ends() -> None:
    odd = [_name(p) for p in PACKAGE if {p.stem, p.parent.name} & {"util", "utils", "helpers", "misc", "common"}]
    assert not odd, f"name these after what they do: {odd}"


@pytest.mark.parametrize("path", PACKAGE, ids=_name)
def test_everything_public_says_what_it_is_for(path: Path) -> None:
    tree = _tree(path)
    assert ast.get_docstring(tree), f"{_name(path)} opens with no docstring"
    silent = [
        f"{node.name}, line {node.lineno}"
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert not silent, f"{_name(path)}: no docstring on {silent}"


def _unsafe(tree: ast.Module) -> Iterator[str]:
    """Yield each import or call that could run code from a file."""
    for node in ast.walk(tree):
        found: list[str] = []
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Attribute):
            found = [ast.unparse(node)]
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            found = [] if isinstance(node.value, ast.Constant) and node.value.value is False else ["allow_pickle"]
        for name in found:
            if name == "allow_pickle" or name in RUNS_CODE or name.partition(".")[0] in RUNS_CODE:
                yield name


READS_FOREIGN = ROOT / "hyperplane" / "predict" / "foreign.py"
"""The one file that may call torch.load, once, for tensors alone."""


@pytest.mark.parametrize("path", PACKAGE, ids=_name)
def test_loading_runs_no_code(path: Path) -> None:
    allowed = ["torch.load"] if path == READS_FOREIGN else []
    assert list(_unsafe(_tree(path))) == allowed, "read and write safetensors and JSON instead"


def test_the_one_torch_load_reads_tensors_alone() -> None:
    calls = [
        node
        for node in ast.walk(_tree(READS_FOREIGN))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"
    ]
    assert [{k.arg: ast.unparse(k.value) for k in call.keywords}["weights_only"] for call in calls] == ["True"]


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "from torch import load",
        "torch.load(p)",
        "np.load(p, allow_pickle=x)",
    ],
)
def test_the_check_for_loading_sees(source: str) -> None:
    assert list(_unsafe(ast.parse(source)))


@pytest.mark.parametrize(
    "arguments", [["-c", "import hyperplane"], ["-m", "hyperplane", "--help"]], ids=["import", "help"]
)
def test_no_torch_until_it_is_needed(arguments: list[str]) -> None:
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "hyperplane" in imported
    assert not imported & {"torch", "numpy", "matplotlib", "sklearn", "PIL"}


def test_the_contract_suite_makes_no_exceptions_by_name() -> None:
    """An exception is an attribute on the class, never a name that a comparison, a case or a table looks for."""
    names = {
        name for room in discovery.ROOMS for e in discovery.entries(room).values() for name in (e.name, *e.variants)
    }
    branches: list[ast.expr | ast.pattern] = []
    for node in ast.walk(_tree(ROOT / "tests" / "test_contract.py")):
        if isinstance(node, ast.Compare | ast.MatchValue):
            branches.append(node)
        elif isinstance(node, ast.Dict):
            branches += [key for key in node.keys if key]
    constants = (node for branch in branches for node in ast.walk(branch) if isinstance(node, ast.Constant))
    named = [f"'{node.value}', line {node.lineno}" for node in constants if node.value in names]
    assert not named, f"tests/test_contract.py branches on {named}"
