"""claims.json: every claim is whole, tested by an experiment that there is, and says where in the lecture it stands."""

from __future__ import annotations

import inspect
import pkgutil
import typing
from importlib import import_module
from pathlib import Path

import pytest

from hyperplane import discovery
from hyperplane.errors import UserError
from hyperplane.lecture import claims, experiments, running
from hyperplane.lecture.findings import Outcome

KNOWN = claims.load()
PRODUCTS = {"cnn-map-neurons"}
"""Claims whose number the lecture writes as a product."""
LECTURE = Path(__file__).parents[3] / "shared" / "lecture" / "lecture.txt"


def _experiments() -> set[str]:
    """Return every public function of the experiments that gives an outcome."""
    found: set[str] = set()
    for module in pkgutil.iter_modules(experiments.__path__):
        held = import_module(f"{experiments.__name__}.{module.name}")
        for name, function in inspect.getmembers(held, inspect.isfunction):
            own = function.__module__ == held.__name__ and not name.startswith("_")
            if own and typing.get_type_hints(function).get("return") is Outcome:
                found.add(f"{module.name}.{name}")
    return found


def test_the_chapters_are_those_of_the_lecture() -> None:
    assert [c.name for c in KNOWN.chapters][:4] == ["linear", "mlp", "cnn", "transformers"]
    assert {claim.chapter for claim in KNOWN.claims} == {chapter.name for chapter in KNOWN.chapters}
    assert KNOWN.built[:2] == ("linear", "mlp")


def test_ids_are_unique_and_begin_with_their_chapter() -> None:
    ids = [claim.id for claim in KNOWN.claims]
    assert len(ids) == len(set(ids)) >= 150
    assert all(claim.id.startswith(f"{claim.chapter}-") for claim in KNOWN.claims)


def test_claims_stand_in_their_chapter_in_the_order_of_the_lecture() -> None:
    for chapter in KNOWN.chapters:
        lines = [claim.lines for claim in KNOWN.of(chapter.name)]
        assert lines == sorted(lines)
        assert all(chapter.lines[0] <= first <= last <= chapter.lines[1] for first, last in lines)


def test_a_number_has_a_value_and_a_sense_and_a_statement_has_none() -> None:
    for claim in KNOWN.claims:
        assert (claim.value is not None) == (claim.sense is not None) == (claim.kind == "number"), claim.id


def test_what_is_open_is_not_asserted_by_an_experiment_or_recipe() -> None:
    assert not [claim.id for claim in KNOWN.claims if claim.experiment is None and claim.recipes]


def test_every_claim_that_is_not_open_has_its_experiment_and_every_experiment_a_claim() -> None:
    assert set(running.experiments(KNOWN.claims)) == _experiments()


def test_recipes_are_there() -> None:
    for name in {name for claim in KNOWN.claims for name in claim.recipes}:
        assert name in discovery.find("recipes", name).variants


@pytest.fixture
def lecture() -> list[str]:
    if not LECTURE.is_file():
        pytest.skip("needs the lecture's text: ../shared/lecture/lecture.txt is not there")
    return LECTURE.read_text("utf-8").splitlines()


def test_lines_are_in_the_lecture(lecture: list[str]) -> None:
    for claim in KNOWN.claims:
        assert any(line.strip() for line in lecture[claim.lines[0] - 1 : claim.lines[1]]), claim.id


def test_numbers_stand_in_those_lines(lecture: list[str]) -> None:
    for claim in KNOWN.claims:
        if claim.value is not None and not claim.own and claim.id not in PRODUCTS:
            told = "".join(lecture[claim.lines[0] - 1 : claim.lines[1]]).replace("'", "").replace("e-0", "e-")
            written = {f"{claim.value:g}", f"{claim.value:.2f}", f"{claim.value:.2e}".replace("e-0", "e-")}
            assert any(number in told for number in written), f"{claim.id}: {written} in {told}"


@pytest.mark.parametrize(
    ("chapters", "ids", "says"),
    [
        (["liner"], [], "did you mean 'linear'?"),
        ([], ["mlp-bypas"], "did you mean 'mlp-bypass'?"),
        ([], ["x"], "--list"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(chapters: list[str], ids: list[str], says: str) -> None:
    with pytest.raises(UserError) as refused:
        KNOWN.chosen(chapters, ids)
    assert says in str(refused.value) and "\n" not in str(refused.value)


def test_chapters_and_claims_are_chosen_together() -> None:
    chosen = KNOWN.chosen(["linear"], ["mlp-bypass"])
    assert {claim.chapter for claim in chosen} == {"linear", "mlp"} and chosen[-1].id == "mlp-bypass"
    assert KNOWN.chosen() == KNOWN.claims
