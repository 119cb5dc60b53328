# chemoscape: `make demo` and `make test` are all a newcomer needs; `make help` lists the rest.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check
JOBS   ?= auto
MINUTES ?= 5
# what a checkout installs; add train for the tests that need torch
EXTRAS  ?= dev,docs,segment
NO_BROWSER = --ignore=tests/browser

.DEFAULT_GOAL := help
.PHONY: help demo test test-app validation lint types docs check fuzz bench bench-app bench-peers format lock \
        test-lowest test-latest clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

demo: $(VENV)/.run  ## the paper's validation with known truth, into chemoscape-demo/
	$(BIN)/chemoscape demo --output chemoscape-demo --overwrite

test: $(VENV)/.dev  ## all tests but those in a browser, warnings as errors
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -W error $(NO_BROWSER)

test-app: $(VENV)/.dev  ## the app from end to end, in headless Chromium
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -W error tests/browser

validation: $(VENV)/.dev  ## what the tests measure beside what is asked for, into the docs
	rm -rf .truths
	CHEMOSCAPE_TRUTHS=.truths OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup \
	  -W error tests/validation tests/real
	$(BIN)/python tests/validation/truth_table.py .truths docs/validation-table.md
	rm -rf .truths

lint: $(VENV)/.dev  ## style of code and docstrings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev  ## static types of the package
	$(BIN)/mypy

docs: $(VENV)/.dev  ## the documentation, into docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

check: lint types test test-app docs  ## everything that must pass

fuzz: $(VENV)/.dev  ## damage files of every format and open them, for MINUTES=5
	$(BIN)/python tests/formats/fuzzing.py $(MINUTES)

bench: $(VENV)/.dev  ## speed as ratios to this machine's limits (BENCH="--only drift")
	$(BIN)/python benchmarks/run.py $(BENCH)

bench-peers: $(VENV)/.dev .venv-peers/.made  ## the same work by MANTiS, HyperSpy and others
	$(BIN)/python benchmarks/beside.py .venv-peers/bin/python $(BENCH)

bench-app: $(VENV)/.dev  ## how soon a frame follows a key press in the app
	$(BIN)/python benchmarks/app_latency.py $(BENCH)

.venv-peers/.made:
	@echo "setting up .venv-peers with the newest releases of the peers (about a minute, once)"
	rm -rf .venv-peers && $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check \
	  mantis-xray hyperspy pymcr pystackreg scikit-image ngsolve
	@touch $@

format: $(VENV)/.dev  ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock:  ## renew constraints.txt from the newest releases
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet '.[dev,docs,segment,train]'
	.venv-lock/bin/python -m pip freeze --exclude chemoscape | sed 's/+[a-z0-9]*$$//' > constraints.txt
	rm -rf .venv-lock

test-lowest:  ## tests with the oldest releases that pyproject.toml admits
	rm -rf .venv-lowest && $(PYTHON) -m venv .venv-lowest
	$(PYTHON) benchmarks/lowest.py > .venv-lowest/lowest.txt
	.venv-lowest/bin/python -m pip install --quiet -c .venv-lowest/lowest.txt -e '.[dev,segment]'
	.venv-lowest/bin/python -m pytest -n $(JOBS) --dist loadgroup $(NO_BROWSER)

test-latest:  ## tests with the newest releases
	rm -rf .venv-latest && $(PYTHON) -m venv .venv-latest
	.venv-latest/bin/python -m pip install --quiet -e '.[dev,segment]'
	.venv-latest/bin/python -m pytest -n $(JOBS) --dist loadgroup $(NO_BROWSER)

clean:  ## remove what can be made again
	rm -rf .venv .venv-* docs/_build docs/gallery docs/generated .pytest_cache .mypy_cache .ruff_cache chemoscape-demo

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "chemoscape needs Python 3.11 or newer: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo "Python's venv is missing: apt install python3-venv"; exit 1; }

$(VENV)/.run: $(BIN)/python pyproject.toml constraints.txt
	@echo "setting up $(VENV) (about a minute, once)"
	$(PIP) -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml constraints.txt
	@echo "setting up $(VENV) for development (about a minute, once)"
	$(PIP) -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $(VENV)/.run $@
