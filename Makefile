# Everything happens in .venv, which `make` builds when it is missing or pyproject.toml has changed.
PYTHON ?= python3
BIN = .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test check bench clean

demo: .venv/embedded
	$(BIN)/turnwise demo --out runs/demo

test: .venv/dev
	$(BIN)/python -m pytest

check: .venv/dev
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy

bench: .venv/dev
	@for script in $$(grep -l __main__ benchmarks/*.py); do echo "== $$script"; $(BIN)/python $$script || exit 1; done

.venv/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else f"turnwise needs Python 3.11 to 3.13, this is {sys.version}; say which with: make demo PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

.venv/embedded: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[embedded]"
	@touch $@

.venv/dev: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[embedded,dev]"
	@touch $@ .venv/embedded

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis dist
