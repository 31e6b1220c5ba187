# `make demo` and `make test` need nothing but Python 3.11 and (once) a package index.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
CUREC_HOME ?= .curec
CUREC_PROFILE ?= laptop
override CUREC_HOME := $(abspath $(CUREC_HOME))
DAGSTER_HOME ?= $(CUREC_HOME)/dagster
export CUREC_HOME CUREC_PROFILE DAGSTER_HOME

BIN := .venv/bin
STAMP := .venv/.ready
VLLM_BIN := .venv-vllm/bin
VLLM_STAMP := .venv-vllm/.ready

RECBOLE_BIN := .venv-recbole/bin
RECBOLE_STAMP := .venv-recbole/.ready

AUDIT_BIN := .venv-audit/bin
AUDIT_STAMP := .venv-audit/.ready

.PHONY: help setup demo outcome ui explore test lint test-vllm bench-speed bench-data bench-load bench-ingest bench-incremental bench-follow \
	benchmark benchmark-thinned chaos audit faults pictures results
.DEFAULT_GOAL := help

help:
	@echo 'make demo      set up, fetch the defaults, materialise everything, print the outcome'
	@echo 'make ui        the Dagster UI on the same home ($(CUREC_HOME))'
	@echo 'make explore   a page over the same home: people, items, quality, lineage'
	@echo 'make outcome   print the outcome again'
	@echo 'make test      set up, lint, type-check, all tests'
	@echo 'make lint      lint and type-check'
	@echo 'make faults    every fault and attack that is tried, in one table; renew docs/security.md'
	@echo 'make test-vllm the tests of the vLLM engine, on its CPU build, in an environment of its own'
	@echo 'make benchmark    the rungs of the method and its peers, resumable; RUNGS=numbers needs no language model'
	@echo 'make benchmark-thinned  the same without language model, on a sparser data set in own files'
	@echo 'make bench-speed  measure writing and training, renew docs/speed.md (after make demo)'
	@echo 'make bench-data   25 million events and 2 million items from files to evidence; beside it RecBole'
	@echo 'make bench-load  the last part of it: a million events from a file to a split, beside RecBole'
	@echo 'make bench-ingest  a million reviews from a file to the ledger; beside it DuckDB, to Parquet'
	@echo 'make bench-incremental  what new events cost beside 100 thousand and 10 million stored ones'
	@echo 'make bench-follow  what new, late and corrected events cost with the models of `laptop`'
	@echo 'make chaos        kill smoke runs at random (KILLS=100, JOBS=2), resumable; renews docs/operation.md'
	@echo 'make pictures  the pictures of the explorer in docs/images (after make demo)'
	@echo 'make results   what make demo gave and cost, into docs/results.md and README.md'
	@echo 'make audit        known advisories about the pinned packages; renew docs/licences.md'
	@echo 'Settings: CUREC_PROFILE=smoke|laptop|benchmark|gpu|file.toml, CUREC_HOME=folder'

setup: $(STAMP) $(DAGSTER_HOME)/dagster.yaml

$(STAMP): pyproject.toml constraints.txt
	@echo 'Setting up .venv (torch and transformers are large: the first time takes minutes) ...'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check \
		--constraint constraints.txt --editable '.[test,tracking]'
	@touch $@

$(DAGSTER_HOME)/dagster.yaml:
	@umask 077 && mkdir -p $(@D) && cp deploy/dagster.yaml $@

demo: setup
	@$(BIN)/curec demo

outcome: setup
	@$(BIN)/curec outcome

explore: setup
	@$(BIN)/curec explore

# Dagster's own processes keep what this shell lets them keep: nothing for other users.
ui: setup
	@umask 077 && $(BIN)/dagster dev --workspace workspace.yaml

# The tests that try a fault or an attack; renews the table of docs/security.md.
faults: setup
	@$(BIN)/pytest -m fault --fault-figures docs/figures/faults.json

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

test: lint
	@$(BIN)/pytest

# The stamp is made last, so an installation that was interrupted is taken up again.
$(VLLM_STAMP): pyproject.toml constraints-vllm.txt
	@echo "Setting up .venv-vllm with vLLM's CPU build (several GB on disk, takes minutes) ..."
	@test -x $(VLLM_BIN)/python || $(PYTHON) -m venv .venv-vllm
	@$(VLLM_BIN)/python -m pip install -qq --disable-pip-version-check \
		--constraint constraints-vllm.txt --editable '.[test]'
	@$(VLLM_BIN)/python -m pip install -qq --disable-pip-version-check \
		--no-deps --requirement constraints-vllm.txt
	@touch $@

test-vllm: $(VLLM_STAMP)
	@$(VLLM_BIN)/pytest --numprocesses=0 tests/vllm

# CUREC_PROFILE and CUREC_HOME choose profile and home; RUNGS and REASONS what is written and read.
BENCHMARK_PROFILE := $(if $(filter file,$(origin CUREC_PROFILE)),benchmark,$(CUREC_PROFILE))
benchmark: setup $(RECBOLE_STAMP)
	@$(BIN)/python -m benchmarks.ladder --home $(CUREC_HOME) --profile $(BENCHMARK_PROFILE) \
		$(if $(RUNGS),--rungs $(RUNGS)) $(if $(REASONS),--reasons $(REASONS))

# A quarter of MovieLens 100K as own files, in a home of its own.
benchmark-thinned: setup $(RECBOLE_STAMP)
	@$(BIN)/python -m benchmarks.thinned

chaos: setup
	@$(BIN)/python -m benchmarks.chaos $(if $(KILLS),--kills $(KILLS)) $(if $(JOBS),--jobs $(JOBS))

# Each part takes minutes, reads the home that `make demo` filled, and renews its table in
# docs/speed.md. Run them on a machine that does nothing else.
BENCHMARKS := writer levers asset asset-vllm grpo sft tokens memory recommender explorer
bench-speed: $(BENCHMARKS:%=bench-speed-%)

bench-speed-recommender: $(RECBOLE_STAMP)

bench-speed-asset: setup
	@$(BIN)/python -m benchmarks.reasons_asset --home $(CUREC_HOME)

bench-speed-asset-vllm: $(VLLM_STAMP)
	@$(VLLM_BIN)/python -m benchmarks.reasons_asset --home $(CUREC_HOME) --engine vllm

bench-speed-%: setup
	@$(BIN)/python -m benchmarks.$* --home $(CUREC_HOME)

# EVENTS, ITEMS and CHOSEN make it smaller.
bench-data: setup $(RECBOLE_STAMP)
	@$(BIN)/python -m benchmarks.data $(if $(EVENTS),--events $(EVENTS)) $(if $(ITEMS),--items $(ITEMS)) \
		$(if $(CHOSEN),--chosen $(CHOSEN))

bench-load: setup $(RECBOLE_STAMP)
	@$(BIN)/python -m benchmarks.data --load

bench-ingest: setup
	@$(BIN)/python -m benchmarks.ingest

bench-incremental: setup
	@$(BIN)/python -m benchmarks.incremental

# Of the explorer, from the home that `make demo` filled.
pictures: setup
	@$(BIN)/python -m benchmarks.pictures --home $(CUREC_HOME)

# Outcome and costs of the demo, from the same home.
results: setup
	@$(BIN)/python -m benchmarks.results --home $(CUREC_HOME)

bench-follow: setup
	@$(BIN)/python -m benchmarks.follow

$(RECBOLE_STAMP): benchmarks/requirements-recbole.txt
	@echo 'Setting up .venv-recbole (RecBole and what it needs, takes minutes) ...'
	@test -x $(RECBOLE_BIN)/python || $(PYTHON) -m venv .venv-recbole
	@$(RECBOLE_BIN)/python -m pip install -qq --disable-pip-version-check --requirement $<
	@touch $@

$(AUDIT_STAMP): Makefile
	@test -x $(AUDIT_BIN)/python || $(PYTHON) -m venv .venv-audit
	@$(AUDIT_BIN)/python -m pip install -qq --disable-pip-version-check pip-audit==2.* pip-licenses==5.*
	@touch $@

# Where advisories cannot be asked for, pip-audit says so of a package, and fails.
audit: setup $(AUDIT_STAMP)
	@{ echo '# Licences of what is installed'; echo; \
		echo 'Made by `make audit` from the environment of `make setup`.'; echo; \
		$(AUDIT_BIN)/pip-licenses --python=$(BIN)/python --format=markdown --order=license \
			--ignore-packages curec; } > docs/licences.md
	@$(AUDIT_BIN)/pip-audit --strict --requirement constraints.txt --no-deps --disable-pip
