# `make help` says what there is. Every target creates or updates the environment it needs.
#
#   PYTHON=python3.12        another Python (3.11 to 3.13)
#   VENV=/path               another place for the environment
#   PIP_ARGS="..."           further arguments of pip install, such as --index-url or --proxy
#   TORCH=cpu                the CPU-only build of PyTorch, much smaller on Linux; also cu126 and
#                            the like for a version of CUDA, or auto for the one of your driver
#   TORCH_INDEX=ADDRESS      take PyTorch from another index, such as a mirror
#   JOBS=4                   tests at a time (2 by default)
#   ARGS="..."               further arguments of JupyterLab, pytest or `seglib lessons run`
#   SEGLIB_REAL_COCO=PATH    a real COCO folder for `make test-all`

PYTHON ?= python3
VENV ?= .venv
PIP_ARGS ?=
TORCH ?=
TORCH_INDEX ?=
ARGS ?=
JOBS ?= 2
export VENV PIP_ARGS TORCH TORCH_INDEX

BIN = $(VENV)/bin
ENVIRONMENT = $(PYTHON) tools/environment.py
ROOT_USER = $(filter 0,$(shell id -u))
LESSONS = $(sort $(wildcard lessons/*.ipynb))
# Several tests at a time, each with one thread of its own: quicker than one with several.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile
NBVAL = $(PYTEST) -p seglib.workshop.nbval_plugin --nbval-lax --nbval-current-env \
	--nbval-sanitize-with tests/nbval_sanitize.cfg --nbval-cell-timeout 300

.PHONY: help lab test test-all unit nbval lint browser book lessons bench lock
.DEFAULT_GOAL := help
.NOTPARALLEL:

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | \
		sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20
	@sed -n '2,/^$$/s/^#  //p' $(MAKEFILE_LIST)

lab: ## open the lessons in JupyterLab (for a server: ARGS="--no-browser --port 8899")
	@$(ENVIRONMENT) lab grade
	$(BIN)/jupyter lab $(if $(ROOT_USER),--allow-root) $(ARGS) $(firstword $(LESSONS))

test: lint unit nbval ## everything: style, unit and parity tests, the book, every lesson

unit: browser
	$(PYTEST) -m "not slow and not real_data" $(ARGS)

nbval: browser
	@$(if $(LESSONS),env -u SEGLIB_DATASET $(NBVAL) $(LESSONS) $(ARGS),echo "no lessons yet")

test-all: lint browser nbval ## the same, with slow tests, and real data if SEGLIB_REAL_COCO names it
	$(PYTEST) $(ARGS)

lint:
	@$(ENVIRONMENT) test book
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

browser:
	@$(ENVIRONMENT) test book
	@$(BIN)/python tools/chromium.py
	@$(BIN)/python tools/bubblewrap.py

book: ## build the site, from the lessons' committed outputs, into book/_build/html
	@$(ENVIRONMENT) lab book grade
	$(BIN)/python tools/book.py

lessons: ## execute all lessons again and refresh their outputs (one: ARGS=02)
	@$(ENVIRONMENT) lab grade
	env -u SEGLIB_DATASET $(BIN)/seglib lessons run $(ARGS)
	$(BIN)/seglib assignments build

bench: ## time the primitives' bodies, and models beside torchvision and transformers
	@$(ENVIRONMENT) test
	$(BIN)/python tests/benchmarks/primitives.py $(ARGS)
	$(BIN)/python -m tests.benchmarks.bench_nms
	$(BIN)/python -m tests.benchmarks.bench_paradigms
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.bench_two_stage
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.bench_transformers
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.bench_widgets

lock: ## write requirements.lock from what is installed (for maintainers)
	@$(ENVIRONMENT) lab book grade test
	$(BIN)/python tools/lock.py
