# One word per chore. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := $(BIN)/uv pip compile --quiet --python-version 3.11 --no-header --no-annotate --no-emit-index-url --no-emit-find-links pyproject.toml

.PHONY: help setup demo up test chaos check audit bench performance docs lock
.DEFAULT_GOAL := help

help: ## list these words
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(VENV)/.ready ## make the virtual environment

$(VENV)/.ready: requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## send a spoken question through the stack and get a spoken answer
	@$(BIN)/cascade demo

up: setup ## start the whole stack without Docker, until Ctrl-C
	@$(BIN)/cascade up

test: setup ## run all tests; what needs Docker or Chromium is skipped where there is none
	$(BIN)/pytest -n 2 --no-loadscope-reorder # by folder: those with whole stacks take longest and begin first

chaos: setup ## kill, cut and fill up everything, and check that no job is lost (JOBS=1000 FAULTS=300 SEED=1)
	PYTHONPATH=tests $(BIN)/python -m chaos $(if $(JOBS),--jobs $(JOBS)) $(if $(FAULTS),--faults $(FAULTS)) $(if $(SEED),--seed $(SEED)) $(if $(FSYNC),--appendfsync $(FSYNC))
	$(BIN)/pytest -q -s tests/fuzz/test_system.py # and 1,000 damaged recordings through the whole service

check: setup ## format, lint, types, import contracts and the repository's own rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	PYTHONPATH=tests $(BIN)/python -m support.rules

audit: setup ## look the pins up among known vulnerabilities; needs PyPI's advisory data
	$(BIN)/uv tool run --quiet pip-audit --strict --disable-pip --no-deps -r requirements-dev.txt

bench: setup ## measure recognition, first audio and what the pipeline costs, beside others, as ratios
	$(BIN)/python -m bench

performance: setup ## the same for docs/performance.md, with its plots
	$(BIN)/python -m bench recognition depth saturation --json docs/performance/measured.json
	$(BIN)/python -m bench.performance docs/performance/measured.json

docs: setup ## write the generated pages: README's settings, .env.example, docs/settings.md, errors.md, events.md, openapi.json
	$(BIN)/python -m docs_generator

lock: setup ## write the pins anew from pyproject.toml
	$(LOCK) --extra dev -o requirements-dev.txt
	$(LOCK) --extra api -c requirements-dev.txt -o api/requirements.txt
	$(LOCK) --extra stt -c requirements-dev.txt -o stt-worker/requirements.txt
	$(LOCK) --extra llm -c requirements-dev.txt -o llm-worker/requirements.txt
	$(LOCK) --extra tts -c requirements-dev.txt -o tts-worker/requirements.txt
