# Willis: everything a newcomer needs, by name. `make help` lists it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3.11
TORCH ?= 2.13.0+cpu
# What `make demo` shows: aspects, or infarct on a perfusion study that is simulated on the spot.
PIPELINE ?= aspects
# A DICOM folder for `make demo`; a simulated study where it is empty.
STUDY ?=
# How long `make chaos` and `make soak` go on; a seed repeats what it prints.
ROUNDS ?= 5
SEED ?=
STUDIES ?= 1500
# More arguments for pytest, for example PYTEST_ARGS="-k reader -x".
PYTEST_ARGS ?=

# Tests that start the whole service come after the others: three at a time, for they mostly wait.
WHOLE_SERVICE := tests/e2e tests/soak tests/chaos

VENV := .venv
LIGHT := .venv-demo
BIN := $(VENV)/bin
FULL_STAMP := $(VENV)/.willis-installed
LIGHT_STAMP := $(LIGHT)/.willis-installed
SYSTEM_STAMP := .cache/system-packages
SYSTEM_PACKAGES := dcmtk dicom3tools orthanc postgresql
PIP_FLAGS := --disable-pip-version-check --no-input --quiet --progress-bar off

# The full environment serves the demo too; without it a light one (no torch) is made.
RUN_BIN = $(if $(wildcard $(FULL_STAMP)),$(BIN),$(LIGHT)/bin)
RUN_STAMP = $(if $(wildcard $(FULL_STAMP)),$(FULL_STAMP),$(LIGHT_STAMP))

.PHONY: help
help: ## List all targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Start the service, send it a study, show what it finds (PIPELINE=infarct, STUDY=folder)
	@$(MAKE) --no-print-directory $(RUN_STAMP)
	@$(RUN_BIN)/willis demo --pipeline "$(PIPELINE)" $(if $(STUDY),--study "$(STUDY)")

.PHONY: serve
serve: ## Keep the embedded service up: DICOM, REST and worker (Ctrl-C stops it)
	@$(MAKE) --no-print-directory $(RUN_STAMP)
	@$(RUN_BIN)/willis serve

.PHONY: setup
setup: $(FULL_STAMP) $(SYSTEM_STAMP) ## Make .venv with everything, and system packages where allowed

.PHONY: test
test: setup lint ## Run all checks: ruff, mypy --strict, import rules, pytest with warnings as errors
ifeq ($(strip $(PYTEST_ARGS)),)
	$(BIN)/python -m pytest -n auto --dist loadfile $(WHOLE_SERVICE:%=--ignore=%)
	$(BIN)/python -m pytest -n 3 --dist loadfile $(WHOLE_SERVICE)
else
	$(BIN)/python -m pytest $(PYTEST_ARGS)
endif

.PHONY: lint
lint: $(FULL_STAMP) ## Run the checks that run no code: ruff, mypy --strict, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: bench
bench: setup ## Measure speed and memory, ratios in one run, printed as tables
	$(BIN)/python -m benchmarks

.PHONY: chaos
chaos: setup ## Break every part of a running service again and again (ROUNDS=, SEED=)
	$(BIN)/python -m tests.chaos --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED))

.PHONY: soak
soak: setup ## Send a day's studies at an accelerated pace and write docs/soak.md (STUDIES=)
	$(BIN)/python -m tests.soak --studies $(STUDIES)

.PHONY: openapi
openapi: $(FULL_STAMP) ## Write openapi.yaml anew from the application
	$(BIN)/python -m tests.contract.openapi

.PHONY: clean
clean: ## Remove environments, caches and build results (never a data folder or a key)
	rm -rf $(VENV) $(LIGHT) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache \
	  .hypothesis dist build
	# A signing key can't be made again.
	[ ! -d .cache ] || find .cache -mindepth 1 -maxdepth 1 ! -name signing -exec rm -rf {} +
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	.ci/make-venv $(PYTHON) $(VENV)

$(LIGHT)/bin/python:
	.ci/make-venv $(PYTHON) $(LIGHT)

# The CPU build of torch comes first: resolved together with the rest, it pulls gigabytes of CUDA.
$(FULL_STAMP): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV): service, cpu, training, dev (a few minutes the first time)"
	$(BIN)/python -c "import torch" 2>/dev/null \
	  || $(BIN)/pip install $(PIP_FLAGS) torch==$(TORCH) -c constraints.txt \
	  || $(BIN)/pip install $(PIP_FLAGS) torch==$(TORCH) -c constraints.txt \
	       --extra-index-url https://download.pytorch.org/whl/cpu
	$(BIN)/pip install $(PIP_FLAGS) -c constraints.txt -e ".[service,cpu,training,dev]"
	@touch $@

$(LIGHT_STAMP): pyproject.toml constraints.txt | $(LIGHT)/bin/python
	@echo "Installing into $(LIGHT): service, cpu (a minute or two the first time)"
	$(LIGHT)/bin/pip install $(PIP_FLAGS) -c constraints.txt -e ".[service,cpu]"
	@touch $@

$(SYSTEM_STAMP):
	@mkdir -p $(@D)
	.ci/system-packages $(SYSTEM_PACKAGES)
	@touch $@
