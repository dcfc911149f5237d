# Everything runs inside .venv, which the first command makes; nothing else has to be installed.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help

.PHONY: help demo test test-all fuzz mnist draw weights parity accuracy pages notebooks docs benchmark benchmark-check backends lint types format lock clean

help: ## Show what can be made.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

demo: .venv/ready ## Train two networks in both engines, show that they are the same (1 minute).
	$(BIN)/python -m scripts.demo

# Three processes, as tests wait for others; one BLAS thread each: idle ones spin. Each imports what
# is compiled already, also where the environment asks Python to keep nothing of that.
PYTEST = OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses 3 --dist loadscope

test: .venv/ready ## Run the tests, with a sample of the long census (5 minutes).
	$(PYTEST)

test-all: .venv/ready ## Run the tests with all of the census (long).
	$(PYTEST) --census all --census-times

CASES ?= 100000
fuzz: .venv/ready ## Try damaged files on every reader of files from others (10 minutes; CASES=2000).
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.fuzzing --cases $(CASES)

mnist: .venv/ready ## Train 784-500-300-10 on MNIST by document D4's recipe (MNIST_PATH or download).
	$(BIN)/python -m scripts.train 784-500-300-10

draw: .venv/ready ## Serve the page on which one draws a digit, on this machine only.
	$(BIN)/python -m scripts.draw

weights: .venv/ready ## Make the shipped weights and their cards again (long).
	$(BIN)/python -m tools.ship
	$(BIN)/python -m tools.rejecter
	$(BIN)/python -m tools.rejecter.measuring --out scripts/weights

parity: .venv/ready ## Train it in both engines side by side, every tenth step compared (5 minutes).
	$(BIN)/python -m tools.parity_mnist

accuracy: .venv/ready ## Measure the accuracy of every network, 5 seeds in both engines.
	$(BIN)/python -m tools.accuracy

DOCUMENTS ?= all
# A step of a release, not of an edit: that a training goes as it went is tested in its first steps.
pages: .venv/dev ## Reproduce the five documents and write their pages (51 minutes; DOCUMENTS=d0).
	$(BIN)/python -m scripts.reproduce $(DOCUMENTS) --seeds 3 --out docs/documents
	PYTHONPATH=. $(BIN)/python -m cogapp -P -r docs/*.md docs/documents/*.md docs/layers/*.md

notebooks: .venv/dev ## Execute the notebooks and save them with their outputs (MNIST_PATH; 1 minute).
	$(BIN)/python -m tools.notebooks

docs: .venv/dev ## Build the documentation's site in runs/site; broken links fail (half a minute).
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "Open runs/site/index.html; with search: $(BIN)/python -m http.server -b 127.0.0.1 -d runs/site"

BENCHMARK ?= runs/benchmark
benchmark: .venv/benchmark ## Time the NumPy engine beside Keras, PyTorch and others (long).
	$(BIN)/python -m tools.benchmark --json $(BENCHMARK)/benchmark.json --plot $(BENCHMARK)

backends: .venv/benchmark .venv/dev ## Compare both engines on each of Keras's backends (MNIST_PATH; 15 minutes).
	$(BIN)/python -m tools.backends --out docs/backends/measured.json
	PYTHONPATH=. $(BIN)/python -m cogapp -P -r docs/backends.md

benchmark-check: .venv/benchmark ## Compare the engine's times with the targets; 1 if one is missed.
	$(BIN)/python -m tools.benchmark --no-growth --check

lint: .venv/dev ## Check style and which package may import which.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: .venv/dev ## Check types.
	$(BIN)/pyright

format: .venv/dev ## Put the code into the standard form.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: .venv/dev ## Compile the requirements again, with hashes, for every platform.
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
		--no-header --upgrade requirements.in -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
		--no-header --upgrade requirements-dev.in -o requirements-dev.txt

clean: ## Remove what the commands made: .venv and runs.
	rm -rf .venv runs

.venv/ready: requirements.txt pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ $(PYTHON) --version; echo "Python 3.11 or later is needed; try: make PYTHON=python3.12"; exit 1; }
	@echo "Installing into .venv (once; about a minute)"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev: .venv/ready requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

.venv/benchmark: .venv/ready requirements-benchmark.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-benchmark.txt
	@touch $@
