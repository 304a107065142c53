# Two commands for a fresh machine with Python 3.11, 3.12 or 3.13, Node 20 and make: `make demo` and `make test`; to develop: `make up`.
.DEFAULT_GOAL := help
.PHONY: help setup up demo test test-all test-more lint simulate mutants chaos deploy doctor bench bench-quality bench-train bench-emulator data clients lock clean

# The newest that is there; `make clean`, then `make setup PYTHON=/path/to/python3.12`, takes another.
PYTHON ?= $(shell local/find-python 3.13 3.12 3.11)
PY := .venv/bin/python
DATA ?= emulator-data
ALL := tests emulator/tests
TESTS ?=
NEED_CLIENTS := tests tests/web% tests/clients% emulator/tests%
SEEDS ?= 1000
KILLS ?= 20
# One version of each package for all three Pythons.
LOCK := uv pip compile -q --universal --python-version 3.11 --fork-strategy fewest --generate-hashes --no-header --no-annotate
PIP := --quiet --disable-pip-version-check --require-hashes
SEED ?= 1
# Two processes share the tests, file by file. What has the marker `whole` is left to `make test-more`.
BY_TWO := -n 2 --dist loadscope --no-loadscope-reorder --durations 30

help:  ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

setup: .setup/dev .setup/functions .setup/tflite .setup/node  ## install everything, once

# With exec, a signal that make hands on reaches the program, and not a shell that dies without it.
up: setup  ## the local stack until Ctrl-C; functions reload (KEEP_DATA=FOLDER: keep the data; TRAIN=0: train no model at the start)
	exec $(PY) -m local.up --data "$(DATA)" $(if $(KEEP_DATA),--keep-data "$(KEEP_DATA)") \
	  $(if $(filter 0,$(TRAIN)),--no-train) $(if $(FRESH_PORTS),--fresh-ports)

demo: setup  ## the main job, start to end (DATA=FOLDER: with other ratings; KEEP=1: the pages stay up until Ctrl-C)
	exec $(PY) -m local.demo --data "$(DATA)" $(if $(KEEP),--keep)

test: setup $(if $(filter $(NEED_CLIENTS),$(TESTS)),.setup/conformance) lint  ## style, types and the everyday tests (TESTS=tests/web: any tests)
	$(PY) -m pytest $(if $(TESTS),$(WORKERS) $(TESTS),$(or $(WORKERS),$(BY_TWO)) -m "not whole" $(ALL))

test-all: test test-more  ## all tests

test-more: setup .setup/conformance  ## what test-all adds to test; CONTRIBUTING.md has the list
	$(PY) -m pytest $(or $(WORKERS),$(BY_TWO)) -m whole $(ALL)

lint: setup  ## style and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy emulator/src local trainer deploy clients benchmarks emulator-data/generate.py
	cd functions && ../.venv/bin/mypy --config-file ../pyproject.toml bookrec bookrec_database bookrec_operations backend main.py

simulate: setup  ## whole histories under faults, all invariants checked (SEEDS=10000; about half an hour on two cores)
	PYTHONPATH=functions $(PY) -m tests.simulation --seeds $(SEEDS)

mutants: setup  ## deliberate faults in the code, each to be found by the simulation; writes docs/simulation.md
	PYTHONPATH=functions:. $(PY) -m tests.simulation.mutants

chaos: setup  ## the real stack with lost events, killed runs and restarts (KILLS=20 SEED=1; about 20 minutes)
	exec $(PY) -m local.chaos --kills $(KILLS) --seed $(SEED)

deploy: setup  ## deploy a project, or continue; prints each step and changes nothing without RUN=1 (PROJECT= REGION=)
	$(PY) -m deploy $(if $(RUN),apply,plan) --project "$(PROJECT)" --region "$(REGION)"

doctor: setup  ## look at a deployed project and say what to fix (PROJECT= REGION=)
	$(PY) -m deploy doctor --project "$(PROJECT)" --region "$(REGION)"

bench: setup  ## speed and growth of every stage; writes out/bench.json and plots (QUICK=1: small data, some minutes)
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE TF_CPP_MIN_LOG_LEVEL=3 $(PY) -m benchmarks $(if $(QUICK),--quick)

# OpenBLAS takes a slow kernel where OPENBLAS_CORETYPE is set for another machine.
bench-quality: setup  ## the model and its baselines on all sets of real ratings (QUICK=1: one seed; SETS="devml dev100k"; BENCH_DATA=FOLDER)
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE TF_CPP_MIN_LOG_LEVEL=3 $(PY) -m benchmarks.quality $(if $(QUICK),--quick) $(SETS)

bench-train: setup  ## training against the notebook's loop, and the exported files (about 8 minutes)
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE TF_CPP_MIN_LOG_LEVEL=3 $(PY) -m benchmarks.train

bench-emulator: setup  ## the database emulator: writes, listeners, queries, memory (about 3 minutes)
	$(PY) -m benchmarks.emulator

data: setup  ## generate emulator-data again
	PYTHONPATH=. $(PY) emulator-data/generate.py

clients: setup  ## generate the data classes for TypeScript, Kotlin and Swift again
	PYTHONPATH=functions:. $(PY) -m clients.generate

lock:  ## lock the requirements again, all to the same versions (needs uv)
	$(LOCK) -o requirements-dev.txt requirements-dev.in
	$(LOCK) -c requirements-dev.txt -o trainer/requirements.txt trainer/requirements.in
	$(LOCK) -c requirements-dev.txt -o trainer/requirements-baselines.txt trainer/requirements-baselines.in
	$(LOCK) -c requirements-dev.txt -o functions/requirements.txt functions/requirements.in
	$(LOCK) -o trainer/requirements-tflite.txt trainer/requirements-tflite.in

clean:  ## remove what was installed and written
	rm -rf .venv .venv-tflite functions/venv node_modules emulator/tests/conformance/node_modules emulator/src/*.egg-info emulator/build web/vendor .setup out

# Makes an environment, or makes it again if it has another Python.
define environment
[ "$$($1/bin/python -V 2> /dev/null)" = "$$("$2" -V)" ] || "$2" -m venv --clear $1
endef

# One stamp an environment: a second `make` installs nothing.
.setup/dev: requirements-dev.txt emulator/pyproject.toml
	@echo "== Installing the trainer, tests and tools into .venv (about 3 GB, some minutes the first time)"
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2> /dev/null || \
	  { echo "Python 3.11, 3.12 or 3.13 with venv is needed (Debian: apt-get install python3-venv);" \
	    "say which with: make PYTHON=/path/to/python3.13"; exit 1; }
	@$(call environment,.venv,$(PYTHON))
	.venv/bin/pip install $(PIP) -r requirements-dev.txt
	.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e emulator
	@# The domain lives in functions/, which is deployed as it is; the trainer imports it from there.
	@echo "$(CURDIR)/functions" > $$($(PY) -c 'import site; print(site.getsitepackages()[0])')/bookrec.pth
	@mkdir -p .setup && touch $@

.setup/functions: functions/requirements.txt
	@echo "== Installing the functions' own environment into functions/venv"
	@$(call environment,functions/venv,$(PYTHON))
	functions/venv/bin/pip install $(PIP) -r functions/requirements.txt
	@mkdir -p .setup && touch $@

# tflite-runtime, which older phones carry, has no wheels for Pythons after 3.11.
.setup/tflite: trainer/requirements-tflite.txt
	@python=$$(local/find-python 3.11) || \
	  { echo "== No Python 3.11: models are checked in LiteRT alone, not in the tflite-runtime of older phones"; exit 0; }; \
	echo "== Installing tflite-runtime into .venv-tflite (about 110 MB)"; \
	{ $(call environment,.venv-tflite,$$python); } && \
	.venv-tflite/bin/pip install $(PIP) -r trainer/requirements-tflite.txt && \
	mkdir -p .setup && touch $@

.setup/node: package-lock.json
	@echo "== Installing firebase-tools into node_modules (about 300 MB)"
	npm ci --no-audit --no-fund
	"$(PYTHON)" -m local.vendor
	@mkdir -p .setup && touch $@

.setup/conformance: emulator/tests/conformance/package-lock.json
	@echo "== Installing the clients that the database emulator is tested with, and compilers (about 370 MB)"
	cd emulator/tests/conformance && npm ci --no-audit --no-fund
	@mkdir -p .setup && touch $@
