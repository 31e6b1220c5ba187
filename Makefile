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

.PHONY: help setup demo outcome ui test lint
.DEFAULT_GOAL := help

help:
	@echo 'make demo      set up, fetch the defaults, materialise everything, print the outcome'
	@echo 'make ui        the Dagster UI on the same home ($(CUREC_HOME))'
	@echo 'make outcome   print the outcome again'
	@echo 'make test      set up, lint, type-check, all tests'
	@echo 'make lint      lint and type-check'
	@echo 'Settings: CUREC_PROFILE=smoke|laptop|benchmark|gpu|file.toml, CUREC_HOME=folder'

setup: $(STAMP) $(DAGSTER_HOME)/dagster.yaml

$(STAMP): pyproject.toml constraints.txt
	@echo 'Setting up .venv (torch and transformers are large: the first time takes minutes) ...'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check \
		--constraint constraints.txt --editable '.[test]'
	@touch $@

$(DAGSTER_HOME)/dagster.yaml:
	@mkdir -p $(@D)
	@cp deploy/dagster.yaml $@

demo: setup
	@$(BIN)/curec demo

outcome: setup
	@$(BIN)/curec outcome

ui: setup
	@$(BIN)/dagster dev --workspace workspace.yaml

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

test: lint
	@$(BIN)/pytest
