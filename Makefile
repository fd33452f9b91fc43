# Two commands, each does everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN = .venv/bin
# Tests open windows. Linux without a screen: a virtual one (napari draws nothing on Qt's offscreen).
SCREEN = $(if $(DISPLAY),,$(if $(filter Linux,$(shell uname -s)),xvfb-run -a -s "-screen 0 1600x1000x24"))

# Files side by side, one worker a core; each takes about 1 GB. WORKERS=0: one after the other.
WORKERS ?= logical
# Modules stay compiled, whatever the environment says: the workers and a dozen processes of the tests need the same.
PYTEST = env PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses=4 --dist loadfile --no-loadscope-reorder

.PHONY: help demo test test-fast test-cpus check lint bench docs figures words clean

help:
	@echo "make demo     install into .venv with napari, and register a sample"
	@echo "make test     install into .venv, run every check and test (what CI runs)"
	@echo "make test-fast   the quick tests, without a window (ARGS=... files, or anything of pytest's)"
	@echo "make test-cpus   the tests of what computes, as other processors run it (ARGS=... chooses)"
	@echo "make check    the linters alone"
	@echo "make bench    the benchmarks (ARGS=... chooses; they need the real CTs, and time)"
	@echo "make docs     the documentation as a site in site/"
	@echo "make figures  redraw docs/images from the library and the running plugin (ARGS=... chooses)"
	@echo "make words    list every string that a user reads"
	@echo "make clean    remove .venv and caches"
	@echo "PYTHON=...    the Python to use, 3.11 or newer;  ARGS=...  arguments for demo, bench and tests"

demo:
	@$(PYTHON) scripts/setup_env.py pyqt6
	@$(BIN)/napari-xreg demo $(ARGS)

test:
	@$(PYTHON) scripts/setup_env.py test peers
	@$(MAKE) --no-print-directory lint
	NAPARI_ENSURE_PLUGIN_MAIN_THREAD=1 $(SCREEN) $(PYTEST)

test-fast:
	@$(PYTHON) scripts/setup_env.py test peers
	$(PYTEST) -q -m "not slow and not window" --ignore=tests/widgets $(or $(ARGS),tests)

test-cpus:
	@$(PYTHON) scripts/setup_env.py test peers
	$(BIN)/python scripts/test_cpus.py $(ARGS)

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
	@$(PYTHON) scripts/setup_env.py bench peers
	$(SCREEN) $(BIN)/python -m benchmarks $(or $(ARGS),all)

docs:
	@$(PYTHON) scripts/setup_env.py docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

figures:
	@$(PYTHON) scripts/setup_env.py dev
	$(if $(ARGS),,$(BIN)/python docs/make_figures.py)
	$(SCREEN) $(BIN)/python docs/make_screenshots.py $(ARGS)

words:
	@$(PYTHON) scripts/words.py

clean:
	rm -rf .venv site .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .numba_cache
