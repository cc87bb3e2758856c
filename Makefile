# make demo    train a net on handwritten digits and write its report to runs/digits
# make test    run the tests
# make lint    ruff, import-linter and pyright
# make check   make lint, then make test
#
# Each makes the environment .venv first; the second time there is nothing to install.
# PYTHON=python3.12 chooses another Python; PYTEST="-k resume -n 0" gives pytest further arguments.

PYTHON ?= python3
PYTEST ?=
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: demo test lint check clean

demo: $(INSTALLED)
	$(BIN)/hyperplane train digits --overwrite

test: $(INSTALLED)
	$(BIN)/python -m pytest -q -n auto --maxprocesses 8 $(PYTEST)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright --pythonpath $(BIN)/python

check: lint test

clean:
	rm -rf .venv build hyperplane.egg-info .hypothesis .import_linter_cache .pytest_cache .ruff_cache
	find hyperplane tests benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

$(INSTALLED): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON): there is none, expected Python 3.11 or newer; install it, or type: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON): found $$($(PYTHON) --version 2>&1), expected Python 3.11 or newer; type: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON): has no ensurepip, which makes .venv; on Debian and Ubuntu, type: apt install python3-venv" >&2; exit 1; }
	@echo "Installing hyperplane and its tools into .venv, with the versions of constraints.txt: a minute or so, once."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@ && echo "Installed."
