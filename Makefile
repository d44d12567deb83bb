# One target per chore. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := $(BIN)/uv pip compile --quiet --python-version 3.11 --no-header --no-annotate --no-emit-index-url --no-emit-find-links pyproject.toml

.PHONY: help setup demo up test chaos check audit bench performance docs lock
.DEFAULT_GOAL := help

help: ## show this help
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(VENV)/.ready ## create the virtual environment

$(VENV)/.ready: requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## send a spoken question through the whole stack and get a spoken answer
	@$(BIN)/cascade demo

up: setup ## start the whole stack without Docker, until Ctrl-C
	@$(BIN)/cascade up

test: setup ## run all tests; those that need Docker or Chromium are skipped if it is missing
	$(BIN)/pytest -n 2 --no-loadscope-reorder # by folder: the slowest files start first

chaos: setup ## inject faults into a running stack and check that no job is lost (JOBS=1000 FAULTS=300 SEED=1)
	PYTHONPATH=tests $(BIN)/python -m chaos $(if $(JOBS),--jobs $(JOBS)) $(if $(FAULTS),--faults $(FAULTS)) $(if $(SEED),--seed $(SEED)) $(if $(FSYNC),--appendfsync $(FSYNC))
	$(BIN)/pytest -q -s tests/fuzz/test_system.py # then 1,000 damaged recordings through the whole service

check: setup ## format, lint, types, import contracts and the repository's own rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	PYTHONPATH=tests $(BIN)/python -m support.rules

audit: setup ## check pinned dependencies for known vulnerabilities; needs PyPI's advisory data
	$(BIN)/uv tool run --quiet pip-audit --strict --disable-pip --no-deps -r requirements-dev.txt

bench: setup ## measure recognition, first audio and the pipeline's overhead as ratios to other systems
	$(BIN)/python -m bench

performance: setup ## run the benchmarks of docs/performance.md and write its tables and plots
	$(BIN)/python -m bench recognition depth saturation --json docs/performance/measured.json
	$(BIN)/python -m bench.performance docs/performance/measured.json

docs: setup ## write the generated pages: README's settings, .env.example, docs/settings.md, errors.md, events.md, openapi.json
	$(BIN)/python -m docs_generator

lock: setup ## update the pins from pyproject.toml
	$(LOCK) --extra dev -o requirements-dev.txt
	$(LOCK) --extra api -c requirements-dev.txt -o api/requirements.txt
	$(LOCK) --extra stt -c requirements-dev.txt -o stt-worker/requirements.txt
	$(LOCK) --extra llm -c requirements-dev.txt -o llm-worker/requirements.txt
	$(LOCK) --extra tts -c requirements-dev.txt -o tts-worker/requirements.txt
