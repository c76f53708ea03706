# Every target explains itself: `make` prints the lines below that begin with a name and `##`.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PRESET ?= aurion
PORT ?= 8787
PYTHON ?=
PYTEST ?=
# Tests wait for servers and disks a fifth of their time: one process more than there are processors.
JOBS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

VENV := .venv
BIN := $(VENV)/bin
PROJECTS := pyproject.toml sdk/pyproject.toml sandbox/pyproject.toml
EDITABLES := -e . -e sdk -e sandbox
# The locks are whole, so pip resolves nothing (older ones pass over a pin behind an extra); `pip check` proves the outcome.
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check install
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --no-emit-find-links --no-emit-package tollhouse-sdk --no-emit-package tollhouse-sandbox

.PHONY: help demo test coverage check bench torture lock wheel clean venv dev-venv

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  PRESET=$(PRESET) PORT=$(PORT) for demo; PYTEST='-k name' for test, torture; JOBS=2 for test; PYTHON=/path/to/python3 for all"

demo: venv ## the product and its sandbox on 127.0.0.1:$PORT, with demo users (PRESET: aigate, aurion, upiik, luneo)
	@exec $(BIN)/tollhouse demo --preset $(PRESET) --port $(PORT)

test: dev-venv ## every test: both databases, the browser, crashes
	@scripts/require postgres chromium
	$(BIN)/pytest -n $(JOBS) --maxprocesses 4 --dist worksteal $(PYTEST)

coverage: ## the tests again, with every line and branch that they do not reach; takes half as long again
	@$(MAKE) --no-print-directory test PYTEST="--cov --cov-report=term-missing:skip-covered $(PYTEST)"

check: dev-venv ## style, types, the floors between the rooms, what holds for files and docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest -q tests/contracts/test_files.py tests/contracts/test_docs.py

bench: dev-venv ## figures side by side with pgbench, into bench/RESULTS.md
	@scripts/require postgres wrk
	$(BIN)/python -m bench

torture: dev-venv ## the crash tests, 100 kills on each database
	@scripts/require postgres
	$(BIN)/pytest -m torture --timeout=0 $(PYTEST)

lock: dev-venv ## write requirements/*.txt anew from the three pyproject.toml
	$(LOCK) pyproject.toml sdk/pyproject.toml sandbox/pyproject.toml --group dev --group build -o requirements/dev.txt
	$(LOCK) pyproject.toml sdk/pyproject.toml sandbox/pyproject.toml --group build -c requirements/dev.txt -o requirements/demo.txt
	$(LOCK) pyproject.toml -c requirements/dev.txt -o requirements/run.txt
	$(LOCK) --group build -c requirements/dev.txt -o requirements/build.txt

wheel: dev-venv ## the three wheels, into dist/
	rm -rf dist
	for project in . sdk sandbox; do \
		$(BIN)/python -m pip --quiet wheel --no-build-isolation --no-deps --wheel-dir dist ./$$project || exit 1; \
	done

clean: ## remove what was built, measured and cached; the demo's data too
	rm -rf $(VENV) .demo dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .torture

venv: $(VENV)/.ready-demo
dev-venv: $(VENV)/.ready-dev

$(BIN)/python:
	@scripts/make-venv $(VENV) $(PYTHON)

$(VENV)/.ready-demo: requirements/demo.txt $(PROJECTS) | $(BIN)/python
	$(PIP) --no-deps --require-hashes -r requirements/demo.txt
	$(PIP) --no-build-isolation --no-deps $(EDITABLES)
	@$(BIN)/python -m pip --disable-pip-version-check check
	@touch $@

$(VENV)/.ready-dev: requirements/dev.txt $(PROJECTS) | $(BIN)/python
	$(PIP) --no-deps --require-hashes -r requirements/dev.txt
	$(PIP) --no-build-isolation --no-deps $(EDITABLES)
	@$(BIN)/python -m pip --disable-pip-version-check check
	@touch $@ $(VENV)/.ready-demo
