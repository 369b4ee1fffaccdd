# Each target does its own set-up in .venv; the second time it finds it done.

.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := .venv/bin
COMPAT := tests/compat
CHECKED := src/cyan tests $(wildcard docs/*.py) $(wildcard bench)

.PHONY: help
help: ## This list.
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1	\2/p' Makefile | expand -t 14

.PHONY: run
run: .venv/.ready-run ## Start the server with simulated devices, data in ./data (ARGS="--json" passes options).
	@$(BIN)/cyan dev $(ARGS)

.PHONY: test
test: check test-tools $(COMPAT)/node_modules/.ready ## Check, then all tests but the long ones (TESTS="tests/wire" picks some).
	@scripts/run-tests $(TESTS)
	@echo "make test: passed."

.PHONY: check
check: .venv/.ready-dev ## Format, lint, types, import contracts, generated files.
	@$(BIN)/ruff format --check $(CHECKED)
	@$(BIN)/ruff check $(CHECKED)
	@$(BIN)/mypy $(CHECKED)
	@$(BIN)/lint-imports
	@$(BIN)/python docs/generate.py --check

.PHONY: soak
soak: .venv/.ready-dev test-tools $(COMPAT)/node_modules/.ready ## The long tests: fuzzing, many kills, whole matrices.
	@$(BIN)/pytest -m soak $(TESTS)
	@echo "make soak: passed."

.PHONY: bench
bench: .venv/.ready-dev ## Measure, beside a floor in the same run; the figures go to bench/RESULTS.md.
	@$(BIN)/python -m bench $(ARGS)

.PHONY: docs
docs: .venv/.ready-dev ## Write docs/reference anew from the code.
	@$(BIN)/python docs/generate.py

.PHONY: screenshots
screenshots: .venv/.ready-dev test-tools ## Pictures of the console's pages, into build/screenshots (TO="folder" takes another).
	@$(BIN)/python -m tests.console.screenshots $(or $(TO),build/screenshots)

.PHONY: wheel
wheel: .venv/.ready-dev ## What a machine without a network needs to install Cyan, into dist.
	@scripts/wheel

.PHONY: test-tools
test-tools:
	@scripts/test-tools

.venv/.ready-run: requirements.lock pyproject.toml scripts/setup
	@scripts/setup run
	@touch $@

.venv/.ready-dev: requirements.lock requirements-dev.lock pyproject.toml scripts/setup
	@scripts/setup dev
	@touch .venv/.ready-run $@

# The stock clients. Only npm's own files come in, no script of theirs runs at installation.
$(COMPAT)/node_modules/.ready: $(COMPAT)/package.json $(COMPAT)/package-lock.json $(COMPAT)/.npmrc | test-tools
	@if command -v npm >/dev/null 2>&1; then \
	    echo "Installing the clients of $(COMPAT)."; \
	    (cd $(COMPAT) && npm ci --loglevel=error) && touch $@; \
	else echo "No npm: the tests with the stock clients will be skipped."; fi
