"""Runs of this room are not drawn at their end, which takes longer than they do; tests/explain looks at that."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hyperplane.api._drawing", lambda watch: watch)
