# `make run` and `make test` need nothing but Python 3.11+, git, make and a C compiler: the environment is made on the way.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEEPSPEED := $(VENV)/deepspeed
export PATH := $(CURDIR)/$(BIN):$(PATH)
export MLFLOW_DISABLE_TELEMETRY := true
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run toy test test-all lint ui clean-scratch

# Stages start from a process that has imported their libraries once; `dvc repro` by itself does the same, some seconds a stage slower.
run: $(STAMP)
	@tandem doctor --plan > /dev/null
	python -m tandem.runtime.preload dvc repro
	@cat out/report/comparison.md
	@echo "Next: make ui"

# The same so small that it means nothing, in a folder of its own that goes away: nothing of yours is touched. CI runs it in bfloat16,
# which a processor without it emulates.
PRECISION ?= bf16
toy: $(STAMP)
	@folder=$$(mktemp -d) && trap "rm -rf '$$folder'" EXIT && unset MLFLOW_TRACKING_URI DVC_ROOT && \
		git ls-files | grep -vE '^((metrics|plots|docs|tests)/|(stages/)?dvc.lock$$)' | tar -cf - -T - | tar -xf - -C "$$folder" && \
		cd "$$folder" && git init --quiet && tandem init --profile toy --set precision=$(PRECISION) && \
		tandem doctor --plan && PYTHONPATH=src python -m tandem.runtime.preload dvc repro --quiet && cat out/report/comparison.md

# The fast tests, in two processes of a thread each: libraries' own threads wait for each other. `make test-all` adds those that run the
# pipeline as processes, kill its stages and encode real collections.
test: $(STAMP) $(DEEPSPEED)
	OMP_NUM_THREADS=1 python -m pytest -m "not slow" -n 2 --dist loadgroup

test-all: $(STAMP) $(DEEPSPEED)
	OMP_NUM_THREADS=2 python -m pytest

lint: $(STAMP)
	ruff check .
	ruff format --check .
	mypy
	lint-imports

ui: $(STAMP)
	tandem sync
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow ui --workers 1 --backend-store-uri sqlite:///$(CURDIR)/mlflow.db

# torch brings what its build needs (CUDA libraries on most machines). constraints.txt names every other package and version, so
# there is nothing to resolve: --no-deps, torch and two halves of the rest side by side; then torch again, for what its build needs
# beyond them. Byte code is written when a module is first imported.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
$(STAMP): constraints.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing $$(grep -c == constraints.txt) packages into $(VENV) ..."
	@grep -v '^#' constraints.txt | grep -v '^torch==' | awk 'NR % 2' > $(VENV)/odd.txt
	@grep -v '^#' constraints.txt | grep -v '^torch==' | awk 'NR % 2 == 0' > $(VENV)/even.txt
	$(PIP) --no-deps --constraint constraints.txt torch & torch=$$!; \
	$(PIP) --no-deps --requirement $(VENV)/odd.txt & odd=$$!; \
	$(PIP) --no-deps --requirement $(VENV)/even.txt && wait $$torch && wait $$odd
	$(PIP) --constraint constraints.txt torch
	$(PIP) --no-deps --no-build-isolation --editable .
	touch $(STAMP)

# Beside the environment, for tests of launchers alone: with DeepSpeed in it, accelerate imports it whenever a model is saved.
$(DEEPSPEED): $(STAMP) configs/deepspeed.txt
	rm -rf $@
	$(PIP) --no-deps --no-build-isolation --target $@ --requirement configs/deepspeed.txt
	touch $@

clean-scratch:
	rm -rf .scratch
