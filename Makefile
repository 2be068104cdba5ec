# The commands of this project. `make help` lists them.
.SILENT:
.DEFAULT_GOAL := help
.PHONY: help demo check test torture bench docs matrix lock translations
MAKEFLAGS += --no-print-directory
SHELL := /bin/bash
PYTHON := .venv/bin/python
UV ?= uv

help: ## this list
	sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 22

demo: ## the whole line on this machine; ARGS='--seconds 20 --json' passes arguments on
	tools/setup.sh run
	.venv/bin/jisr demo $(ARGS)

check: ## format, lint, types, and the gates of tests/gates
	tools/setup.sh check
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check --quiet .
	$(PYTHON) -m mypy
	$(PYTHON) -m pytest tests/gates

test: ## all tests with their coverage floors, then the drivers' in three locales; or ARGS=tests/drivers
	tools/setup.sh test
	tools/test.sh $(ARGS)

torture: ## the long proofs: power cuts, the whole line and the laboratory under faults, fuzzing; ARGS='--seed 7'
	tools/setup.sh test
	$(PYTHON) -m pytest -s --torture tests/powercut tests/e2e tests/threats tests/gateway/uplink/test_throttled.py tests/contract/test_noisy_line.py tests/laboratory tests/fuzz $(ARGS)

bench: ## the delivery figures of the design, beside their targets; bench/report.json; or ARGS='wire cards'
	tools/setup.sh test
	$(PYTHON) -m bench $(ARGS)

docs: ## write what is generated: parts of the drivers' READMEs, docs/supported-devices.md, docs/platform
	tools/setup.sh check
	$(PYTHON) -m tools.metrics_table
	$(PYTHON) -m tools.platform_contract
	$(PYTHON) -m tools.matrix

matrix: ## docs/supported-devices.md from the profiles: vendor, models, evidence, connection, what is known
	tools/setup.sh check
	$(PYTHON) -m tools.matrix

translations: ## new sentences into the French catalogue, then compile it
	tools/setup.sh check
	$(PYTHON) -m tools.catalogues update
	$(PYTHON) -m tools.catalogues compile

# requirements-build.txt: what `pip install --editable` needs without the network: the build backend, and editables.
lock: ## after a change of dependencies: uv.lock, and the requirements made from it (needs uv)
	$(UV) lock --quiet
	$(UV) export --quiet --frozen --no-header --no-emit-project --extra screen --no-default-groups -o requirements.txt
	$(UV) export --quiet --frozen --no-header --no-emit-project --extra screen --group test -o requirements-test.txt
	$(PYTHON) -c 'import tomllib; print("editables", *tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
		| $(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
			--constraint requirements-test.txt - -o requirements-build.txt
