# make demo   the main job on the repressilator, in a virtual environment of its own
# make test   the tests; make lint style and types
# make accuracy  the README's accuracy table; make reference  slow comparisons with other samplers
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test accuracy reference lint format clean

demo: $(STAMP)
	$(BIN)/nfanneal run configs/repressilator.yaml -o repressilator.h5 --force

test: $(STAMP)
	$(BIN)/python -m pytest

accuracy: $(STAMP)
	$(BIN)/python -m pytest -m accuracy -rP --table=README.md tests/test_accuracy.py

reference: $(STAMP)
	$(BIN)/python -m pytest -m slow -rP

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
