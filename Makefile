# Every target does its own set-up in .venv.
.DEFAULT_GOAL := help
BIN := .venv/bin
# Acceptance tests wait about as long as they compute: two for each core.
WORKERS ?= 4
# Every process of the tests would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## Show this help
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: setup
setup: ## Make .venv with all that is needed
	@PYTHON="$(PYTHON)" deploy/setup.sh

.PHONY: demo
demo: setup ## Show the whole path with a simulated provider: no key, no Docker, no Redis
	@$(BIN)/darkroom demo --folder .demo

.PHONY: test
test: setup ## Run all checks and tests, side by side
	@$(MAKE) --no-print-directory -j 2 lint tests

.PHONY: tests
tests: setup ## Run the tests only
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations=25

.PHONY: unit
unit: setup ## Run the unit tests only
	$(BIN)/pytest tests/unit -n 2 --durations=25

.PHONY: check
check: setup ## Run lint, types and unit tests side by side (about a minute): for everyday work
	@$(MAKE) --no-print-directory -j 2 lint unit

.PHONY: fuzz
fuzz: setup ## Throw random input at whatever reads some
	$(BIN)/pytest tests/fuzz -m fuzz

.PHONY: chaos
chaos: setup ## Kill workers, Redis and gateway under 700 jobs (3 minutes; SEED=… repeats a storm)
	$(BIN)/python -m tests.chaos short $(if $(SEED),--seed $(SEED))

.PHONY: chaos-full
chaos-full: setup ## The same with 3,000 jobs, recovery times and a plain Celery beside it; writes docs/explanation/reliability.md
	$(BIN)/python -m tests.chaos full recovery outages control --write docs/explanation/reliability.md $(if $(SEED),--seed $(SEED))

.PHONY: siege
siege: setup ## Let ten tenants live while one at a time abuses what they share (4 minutes)
	$(BIN)/python -m tests.siege $(SIEGE)

.PHONY: clients
clients: setup ## Let other people's clients make and edit images, and print how each fares (needs npm; CLIENTS="mcp vercel" chooses)
	$(BIN)/python -m tests.clients $(CLIENTS)

.PHONY: bench
bench: setup ## Measure what the queue and a 4K answer cost, how fair the queue is, what the gateway bears, and memory
	$(BIN)/python -m tests.benchmarks.bench_queue
	$(BIN)/python -m tests.benchmarks.bench_fairness
	$(BIN)/python -m tests.benchmarks.bench_decode
	$(BIN)/python -m tests.benchmarks.bench_gateway
	$(BIN)/python -m tests.benchmarks.bench_memory

.PHONY: lint
lint: setup ## Run the checks only
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: setup ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: docs
docs: setup ## Make the pages that come from the code
	$(BIN)/python -m docs.make_error_reference
	$(BIN)/python -m docs.make_tables

.PHONY: constraints
constraints: setup ## Pin the newest versions of everything
	$(BIN)/uv pip compile -q pyproject.toml --all-extras --group dev --universal --upgrade --no-emit-index-url \
		--no-annotate --custom-compile-command "make constraints" -o deploy/constraints.txt

.PHONY: clean
clean: ## Remove what these targets made
	rm -rf .venv .demo dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
