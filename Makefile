# Everything here prepares its own environment: a Python of 3.11 or later and make are enough.
.PHONY: help venv demo test dev lint bench
.DEFAULT_GOAL := help

READY := .venv/.ready
BIN := .venv/bin
# Workers of `make test`, more than there are cores: half of what tests do is wait.
# Without compiled files each of hundreds of processes would compile the same modules anew.
# ARGS is passed on: make test ARGS='-k store', make demo ARGS=--json.
WORKERS ?= 5
ARGS ?=

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 8

venv: $(READY) ## Prepare .venv with everything, the cataloger command in it

$(READY): pyproject.toml constraints.txt .ci/venv
	@.ci/venv

demo: $(READY) ## Catalog real data and print where the pages are
	@$(BIN)/cataloger demo $(ARGS)

test: $(READY) ## Run all tests; those of missing services are skipped and say so
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

dev: $(READY) data/flights.duckdb ## Open Dagster's UI on the databases of databases.yaml, the demo's to begin with
	@mkdir -p .dagster && cp deploy/dagster.yaml .dagster/dagster.yaml
	@DAGSTER_HOME="$(CURDIR)/.dagster" VIRTUAL_ENV="$(CURDIR)/.venv" PATH="$(CURDIR)/$(BIN):$$PATH" \
		exec $(BIN)/dg dev --use-active-venv $(ARGS)

data/flights.duckdb: | $(READY)
	@$(BIN)/cataloger demo --data-only

lint: $(READY) ## Check style, formatting and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(READY) ## Measure, and print what came out
	@for each in benchmarks/*.py; do if [ -e "$$each" ]; then echo "== $$each"; $(BIN)/python "$$each" || exit 1; fi; done
