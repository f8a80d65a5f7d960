# make demo   the main job on the repressilator, in a virtual environment of its own
# make test   the tests; make lint style and types
# make test-long  what make test leaves out as too long: whole runs, systems slow to compile
# make fuzz   atheris on expressions, conditions, specs, tables and SBML, FUZZ_SECONDS (600) in all
# make accuracy  the guide's accuracy table, hours; it goes on where it was stopped; ACCURACY='-k waves'
#   or ACCURACY=--calibration for other runs; make reference  slow comparisons with other samplers
# make petab COLLECTION=path  a folder of PEtab problems: log-likelihood, gradient, speed; PETAB=--run too
# make bench  every sampler on eight problems, hours; BENCH='--against dynesty --repeats 1' for less
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_STAMP := $(VENV)/.demo
STAMP := $(VENV)/.installed
FUZZ_SECONDS ?= 600
WORKERS := -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-long fuzz accuracy bench petab reference lint format clean

demo: $(DEMO_STAMP)
	$(BIN)/nfanneal run configs/repressilator.yaml -o repressilator.h5 --force

test: $(STAMP)
	$(BIN)/python -m pytest $(WORKERS) --durations=10

test-long: $(STAMP)
	$(BIN)/python -m pytest $(WORKERS) --durations=10 -m long

fuzz: $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[fuzz]'
	for target in expression condition spec table sbml petab; do \
		$(BIN)/python tests/fuzz/run.py $$target -max_total_time=$$(($(FUZZ_SECONDS) / 6)) \
		|| exit 1; \
	done

accuracy: $(STAMP)
	$(BIN)/python tests/accuracy/table.py $(ACCURACY) --table=nfanneal/guide/accuracy.md

BENCHED := $(addprefix configs/,lotka_volterra.yaml repressilator.yaml antibody.yaml influenza.yaml \
	shells5.yaml) $(addprefix tests/accuracy/problems/,repressilator_third_ode.yaml \
	repressilator_noise_ode.yaml schools_noncentred.yaml)

bench: $(STAMP)
	mkdir -p build
	$(BIN)/nfanneal bench $(BENCHED) --threads 1 -o build/bench.json --force $(BENCH)

reference: $(STAMP)
	$(BIN)/python -m pytest -m slow -rP

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

petab: $(STAMP)
	$(BIN)/python tests/petab_collection.py $(COLLECTION) $(PETAB)

$(DEMO_STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(STAMP): $(DEMO_STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps petabtests==0.0.1  # data; what it needs is not wanted
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
