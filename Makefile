# Everything runs in .venv, set up with pip under constraints.txt. Another Python: make PYTHON=python3.13
PYTHON ?= python3
VENV   ?= .venv
BENCH  ?= .venv-bench
ARGS   ?=

BIN   := $(VENV)/bin
SETUP := pyproject.toml constraints.txt
# The environment variables reach the isolated build too, which -c does not.
PIP   := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
         PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --no-compile
# pip compiles on one core; code that does not compile, as of another Python, is left to whoever imports it.
COMPILE := $(BIN)/python -m compileall -qq -j 0

# Threads that spin while they wait make a busy machine up to 100 times slower.
export OMP_WAIT_POLICY ?= PASSIVE

# Python keeps what it compiled, or each process of the tests compiles 300 files for itself: 8 seconds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: xray test test-all check docs bench gpu soak clean help

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

xray: $(VENV)/.ready-run  ## the x-ray of the shipped digits' network; more options: make xray ARGS="--inputs 4"
	$(BIN)/nakami xray $(ARGS)

# One process for each core, each on one thread: half the time of one process on two cores.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

test: $(VENV)/.ready-test  ## the tests, with every extra installed
	$(PYTEST) $(ARGS)

test-all: $(VENV)/.ready-test-all  ## every test, also the slow ones and those of other libraries' models
	$(PYTEST) -m "slow or not slow" -o faulthandler_timeout=3600 $(ARGS)

check: $(VENV)/.ready-check  ## format, lint with docstring rules, types on the public names, floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.ready-docs  ## the documentation site, into site/: warnings are errors, links are checked
	$(BIN)/python -m tools.site $(ARGS)

bench: $(BENCH)/.ready  ## the benchmarks, in an environment of their own
	@for script in benchmarks/[!_]*.py; do echo "== $$script"; $(BENCH)/bin/python "$$script" || exit 1; done

gpu:  ## checks and measurements on a CUDA card, with the machine's own Python and torch; nothing is installed
	PYTHONPATH=src $(PYTHON) -m benchmarks.gpu $(ARGS)

soak: $(VENV)/.ready-test  ## 2,100 fuzzed command lines: no traceback, no hang, nothing touched or lost (10 minutes)
	$(BIN)/python tools/soak $(ARGS)

clean:  ## remove environments, caches and builds (runs in nakami-out stay)
	rm -rf $(VENV) $(BENCH) build dist site .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is older than pyproject.toml or constraints.txt only when something is to be installed.
$(VENV)/.ready-run: $(SETUP) | $(BIN)/python
	$(PIP) --editable '.[report,images,train]'
	@$(COMPILE) $(VENV)/lib || true
	@touch $@

$(VENV)/.ready-test: $(SETUP) | $(BIN)/python
	$(PIP) --editable '.[test]'
	@$(COMPILE) $(VENV)/lib || true
	@touch $@ $(VENV)/.ready-run

$(VENV)/.ready-test-all: $(SETUP) | $(BIN)/python
	$(PIP) --editable '.[test-all]'
	@$(COMPILE) $(VENV)/lib || true
	@touch $@ $(VENV)/.ready-test $(VENV)/.ready-run

$(VENV)/.ready-check: $(SETUP) | $(BIN)/python
	$(PIP) --editable '.[report,images,train,check]'
	@$(COMPILE) $(VENV)/lib || true
	@touch $@ $(VENV)/.ready-run

$(VENV)/.ready-docs: $(SETUP) | $(BIN)/python
	$(PIP) --editable '.[docs]'
	@$(COMPILE) $(VENV)/lib || true
	@touch $@

$(BENCH)/.ready: $(SETUP) $(wildcard benchmarks/requirements.txt)
	@$(call make_venv,$(BENCH))
	$(subst $(BIN)/,$(BENCH)/bin/,$(PIP)) '.[report,images,train]' $(if $(wildcard benchmarks/requirements.txt),-r benchmarks/requirements.txt)
	@$(subst $(BIN)/,$(BENCH)/bin/,$(COMPILE)) $(BENCH)/lib || true
	@touch $@

$(BIN)/python:
	@$(call make_venv,$(VENV))

define make_venv
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
    { echo "nakami needs Python 3.11 or newer, got $$($(PYTHON) --version 2>&1); name one with make PYTHON=python3.13" >&2; exit 1; }; \
$(PYTHON) -m venv $(1)
endef
