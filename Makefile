# Two commands matter: `make demo` and `make test`. `make help` lists the others.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo run dev test e2e images lint unit docs bench drill picture lock clean

VENV := $(shell scripts/setup.sh path)
BIN := $(VENV)/bin
# Tests wait for servers part of their time: one more than there are processors.
WORKERS ?= $(shell echo $$(($$(nproc) + 1)))
ROUNDS ?= 10
SHELL_FILES := .ci/run $(wildcard scripts/*.sh)

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## a highly available PostgreSQL on this machine, from nothing
	@scripts/demo.sh

run: ## install what pgstead needs
	@scripts/setup.sh run

dev: ## install what the tests need
	@scripts/setup.sh dev

test: lint ## everything: linters, types, all tests with the real servers
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: dev ## ruff, mypy, shellcheck (the layers are checked by a test)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	MYPYPATH=bench $(BIN)/mypy bench scripts
	@if command -v shellcheck >/dev/null; then shellcheck $(SHELL_FILES); \
	else echo "shellcheck is not installed: shell scripts are only parsed"; \
	for file in $(SHELL_FILES); do bash -n "$$file" || exit 1; done; fi

e2e: dev ## four systems and a cluster on virtual machines, emulated where there is no KVM; skips what it cannot run
	$(BIN)/pytest -m virtual --timeout 1800 --durations=10 tests/e2e/test_virtual_*.py

images: dev ## how images are built, and servers from container images on virtual machines
	$(BIN)/pytest -m virtual --timeout 1200 tests/e2e/test_image.py tests/e2e/test_container_images.py

unit: dev ## the fast tests
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder tests/unit

docs: dev ## write docs/stack-file.md anew from the models
	$(BIN)/python scripts/reference.py

bench: dev ## how fast: a table, and build/bench.json
	$(BIN)/python bench/run.py

drill: dev ## the long series of drills beside others' timings: a table, and a page for each
	$(BIN)/python bench/drill.py --rounds $(ROUNDS)

picture: dev ## the README's picture of the terminal, from a real run
	$(BIN)/python scripts/picture.py

lock: ## write requirements.lock anew
	scripts/lock.sh

clean: ## caches and the virtual environment; never a stack's state
	rm -rf build dist .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find src tests scripts bench -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf "$(VENV)"
