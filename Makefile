# make demo   the whole study on embedded images: minutes on two cores, no download
# make test   the tests
# make help   the rest
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# Processes for the tests: as many as there are cores.
WORKERS ?= auto
# 2/4: the second of four parts of the tests that take about equally long. For `test` and `coverage`.
SHARD  ?=
STAMP  := $(VENV)/.installed
# A file of tests stays in one process: its tests share what they have made.
PYTEST := PATH="$(CURDIR)/$(BIN):$$PATH" OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 8 --dist loadfile --no-loadscope-reorder
SHARD_OPTION := $(if $(SHARD),--shard $(SHARD))
DEMO   := $(BIN)/resnest-bench run --study config/demo/config.yaml -- --cores 2

.DEFAULT_GOAL := help
.PHONY: help env demo test test-unit durations fuzz dashboard check lint docs types coverage format lock pictures generated site site-lock clean

help: ## Show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

env: $(STAMP) ## Make the environment in .venv

# uv comes from the same hashed file as everything else, then installs the rest and
# byte-compiles it: torch imports in 4 s with .pyc files and in 9 s without.
$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "resnest-bench needs Python 3.11 or newer, but $(PYTHON) is `$(PYTHON) --version`. Name another one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.txt > $(VENV)/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.txt
	$(BIN)/uv pip sync --python $(BIN)/python --require-hashes --compile-bytecode requirements.txt
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --no-build-isolation --quiet --editable .
	@touch $@

demo: $(STAMP) ## Run the whole study on embedded images and print its tables
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(DEMO)

# Style and types come first: they take a minute or two, and the tests many.
test: $(STAMP) ## Check style and types, then run every test (RESNEST_BENCH_TEST_DATA names a folder with more images)
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint types
	$(PYTEST) $(SHARD_OPTION)

test-unit: $(STAMP) ## Run the tests without trainings, browsers and workflows: minutes
	$(PYTEST) -m "not slow"

durations: $(STAMP) ## Run every test, and store how long each file takes: for the order and the shards
	$(PYTEST) --store-durations

fuzz: $(STAMP) ## Try some 30,000 generated inputs
	$(BIN)/python -m pytest tests/fuzz --hypothesis-profile=full

dashboard: $(STAMP) ## Open the dashboard
	$(BIN)/streamlit run dashboard/app.py

check: lint types docs ## Check what needs no run: style, types, and that the docs name what there is

docs: $(STAMP) ## Check the docs: links, commands, paths, keys and pages that they name
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -q tests/docs -m "not slow"

types: $(STAMP) ## Check the types
	$(BIN)/mypy

coverage: $(STAMP) ## Run every test, and say which lines of src/ none has run
	$(PYTEST) $(SHARD_OPTION) --cov --cov-report=term:skip-covered $(COVERAGE)

lint: $(STAMP) ## Check style, spelling and imports: ruff, codespell, import-linter, snakefmt, snakemake --lint
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/codespell $$(git ls-files '*.py' '*.md' '*.smk' '*.yaml' '*.yml' '*.toml' ':!results/reference')
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/snakefmt --check workflow
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --lint

format: $(STAMP) ## Format the code
	$(BIN)/ruff check --fix . && $(BIN)/ruff format . && $(BIN)/snakefmt workflow

pictures: $(STAMP) ## Take the pictures in docs/images anew, with chromium
	$(BIN)/python docs/make_pictures.py

generated: $(STAMP) ## Write the schemas, config/README.md, docs/columns.md and docs/command-line.md
	$(BIN)/python -m resnest_bench.generate

lock: $(STAMP) ## Pin the newest versions that the ranges in pyproject.toml allow
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-annotate --no-header --output-file requirements.txt

# Its tools are in an environment of their own, so that requirements.txt stays what a study needs.
SITE := $(VENV)/site

$(SITE)/.installed: docs/requirements.txt | $(STAMP)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(SITE)
	$(BIN)/uv pip sync --quiet --python $(SITE)/bin/python --require-hashes docs/requirements.txt
	@touch $@

site: $(SITE)/.installed ## Build the docs as a site, in site/; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs build --strict --quiet

site-lock: $(STAMP) ## Pin the newest versions of what `make site` needs
	$(BIN)/uv pip compile docs/requirements.in --universal --python-version 3.11 \
		--generate-hashes --no-annotate --no-header --output-file docs/requirements.txt

clean: ## Delete what the demo and the tests made; keep .venv and downloaded data
	rm -rf results/demo site .pytest_cache .ruff_cache .mypy_cache
