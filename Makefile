# Two commands matter: `make demo` and `make test`. Each makes .venv and installs all it needs by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# PyTorch's own index has a small CPU build for Linux; where it can't be reached, PyPI's build is taken.
TORCH_CPU_INDEX ?= https://download.pytorch.org/whl/cpu
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: install dev demo test check bench results clean

install: $(VENV)/.installed  ## .venv with everything the command line needs
dev: $(VENV)/.dev  ## the same and what tests and checks need

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Penchant needs Python 3.11 or newer; name one with make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.torch: constraints.txt | $(BIN)/python
	@if [ "$$(uname -s)" = Linux ]; then \
	  $(PIP) install -q --no-deps --retries 0 --index-url $(TORCH_CPU_INDEX) -c constraints.txt torch \
	  || echo "PyTorch's CPU index can't be reached: installing the default build"; fi
	@touch $@

$(VENV)/.installed: pyproject.toml constraints.txt $(VENV)/.torch
	$(PIP) install -q -c constraints.txt -e '.[train,classify,interests,serve]'
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(PIP) install -q -c constraints.txt -e '.[train,classify,interests,serve,dev]'
	@touch $@

demo: install  ## MovieLens-100k, from the event log to recommendations
	$(BIN)/penchant demo --out penchant-demo

test: dev
	$(BIN)/python -m pytest -q

check: dev  ## style, types, who may import whom, what the README says
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/check.py

bench: install  ## the figures in benchmarks/results; about a quarter of an hour
	$(BIN)/python -m benchmarks

results: install  ## docs/results.md and the README's table, from training; hours, goes on where it stopped
	$(BIN)/python -m benchmarks.quality

clean:
	rm -rf $(VENV) penchant-demo .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
