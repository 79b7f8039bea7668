# `make demo` and `make test` set up what they need; the rest is for daily work.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
PIP := $(BIN)/pip --disable-pip-version-check --quiet
# Two workers, one thread each: the machine has two cores. Groups keep the order that conftest.py gives.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadgroup --no-loadscope-reorder

.PHONY: demo demo-all test test-fast check proof proof-leakage slow ui ui-write install install-test clean

demo: install
	$(BIN)/second-opinion run

# Tiny decoders with random weights, where a study that names them looks for them.
SMOKE_MODELS := var/smoke_models

demo-all: install
	$(BIN)/python -m ml.models.smoke $(SMOKE_MODELS)
	SECOND_OPINION_STUDY=studies/demo_all.toml SECOND_OPINION_MODELS=$(SMOKE_MODELS) $(BIN)/second-opinion run

ui: install
	$(BIN)/second-opinion ui

ui-write: install
	$(BIN)/second-opinion ui --write

test: check
	$(PYTEST)

test-fast: install-test
	$(PYTEST) -m "not slow and not platform"

check: install-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --processes 1 dbt_project/models $(wildcard dbt_project/tests/*.sql)
	SECOND_OPINION_HOME=$$(mktemp -d)/home $(BIN)/dagster definitions validate -m orchestration.definitions

# The definitions at full size, in two processes of one thread each.
proof: install-test
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.proof

# Every plant on two seeds and 100 clean worlds, in two processes of one thread each.
proof-leakage: install-test
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.leakage

slow: install-test
	$(BIN)/python -m benchmarks.slow

install: $(VENV)/installed
install-test: $(VENV)/installed-test

$(VENV)/installed: pyproject.toml constraints.txt
	@echo "Installing into $(VENV) (about three minutes the first time)"
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(PIP) install --constraint constraints.txt --editable '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) dbt_project/target dbt_project/logs build *.egg-info
