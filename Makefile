# Recipes use only sh, coreutils, python3, go, make and git, so that a bare
# machine can run them (see test-clean-path).

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## Show this list
	@$(PYTHON) tools/make_help.py $(firstword $(MAKEFILE_LIST))

##@ Set up

.PHONY: venv
venv: $(STAMP) ## Create .venv with the package and its pinned dependencies

$(STAMP): pyproject.toml constraints.txt
	@echo 'Installing into $(VENV): takes about a minute the first time'
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

.PHONY: tools
tools: ## Build the pinned Go programs (helm, etcd, kube-apiserver, ...) into .tools/bin
	@$(PYTHON) tools/build.py

##@ Run

.PHONY: demo
demo: venv ## Break a real Helm release and watch it being put back
	@$(PYTHON) tools/build.py helm etcd kube-apiserver
	@$(PY) tools/demo.py $(ARGS)

.PHONY: cluster
cluster: venv tools ## Run a local Kubernetes API until Ctrl-C (WORKLOADS=1: Pods, too)
	@PYTHONPATH=tools exec $(PY) -m local_cluster $(if $(filter 1,$(WORKLOADS)),--workloads)

##@ Test

.PHONY: test
test: venv tools ## Run every test; fails if one is skipped (ARGS="..." goes to pytest)
	@$(PY) tools/run_tests.py $(ARGS)

.PHONY: test-fast
test-fast: venv ## Run the layers without a cluster: the inner loop
	@$(PY) tools/run_tests.py --layers unit,contract,service $(ARGS)

.PHONY: test-fault
test-fault: venv tools ## Play drawn rounds of faults (ENGINE=sqlite|postgresql SEED=0 ROUNDS=200)
	@PYTHONPATH=tools:tests $(PY) -m fault $(if $(ENGINE),--engine $(ENGINE)) $(if $(SEED),--seed $(SEED)) \
		$(if $(ROUNDS),--rounds $(ROUNDS)) $(ARGS)

.PHONY: test-clean-path
test-clean-path: ## Prove on a fresh clone that what README names suffices
	@$(PYTHON) tools/clean_path.py $(ARGS)

.PHONY: check
check: venv ## Lint, format, types, import contracts, protos and generated code
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(PY) tools/proto.py --check

.PHONY: bench
bench: venv tools ## Measure against the bare helm program
	@PYTHONPATH=tools $(PY) -m bench $(ARGS)

##@ Work on it

.PHONY: proto
proto: venv ## Generate the Python code from protos/
	$(PY) tools/proto.py

.PHONY: format
format: venv ## Let ruff sort imports and lay out the code
	$(VENV)/bin/ruff check --select I --fix .
	$(VENV)/bin/ruff format .

.PHONY: clean
clean: ## Remove .venv, the built tools and all caches
	@$(PYTHON) tools/clean.py
