# Two commands, each does everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN = .venv/bin

.PHONY: help demo test check lint bench figures clean

help:
	@echo "make demo     install into .venv, register a sample, write pictures and a report to xreg-demo/"
	@echo "make test     install into .venv, run every check and test (what CI runs)"
	@echo "make check    the linters alone"
	@echo "make bench    the benchmarks (ARGS=... chooses; they need the real CTs, and time)"
	@echo "make figures  redraw docs/images"
	@echo "make clean    remove .venv and caches"
	@echo "PYTHON=...    the Python to use, 3.11 or newer;  ARGS=...  arguments for demo and bench"

demo:
	@$(PYTHON) scripts/setup_env.py
	@$(BIN)/napari-xreg demo $(ARGS)

test:
	@$(PYTHON) scripts/setup_env.py test peers
	@$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest

check:
	@$(PYTHON) scripts/setup_env.py test peers
	@$(MAKE) --no-print-directory lint

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/npe2 validate src/napari_xreg/napari.yaml

bench:
	@$(PYTHON) scripts/setup_env.py peers
	$(BIN)/python -m benchmarks $(or $(ARGS),all)

figures:
	@$(PYTHON) scripts/setup_env.py dev
	$(BIN)/python docs/make_figures.py

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
