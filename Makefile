# fleetdeploy: `make demo` shows it, `make test` proves it. Both install what is missing first, and say so.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.run-$(shell sha256sum requirements/run.txt 2>/dev/null | cut -c1-12)
DEV := $(VENV)/.dev-$(shell sha256sum requirements/dev.txt 2>/dev/null | cut -c1-12)
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check install --no-deps

# pytest keeps the asserts it rewrote as bytecode: the next run is a quarter quicker.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test unit simulation browser ansible contract seeded upstream fleet long soak crash-table bench recordings lint man lock packages clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: packages $(RUN) ## the main job on a throw-away fleet on this machine (root)
	@$(BIN)/python -m fleetdeploy demo

test: unit simulation browser ansible contract seeded fleet ## every test but the long ones (root, for the fleet tests)

unit: packages $(DEV) ## no network, five minutes
	$(BIN)/python -m pytest --numprocesses 2 -m 'not simulation' tests/unit

simulation: packages $(DEV) ## whole rollouts on a simulated fleet, each call killed, refused, cut off or signalled
	$(BIN)/python -m pytest --numprocesses 2 -m simulation tests/unit

browser: packages $(DEV) ## reports in a real headless Chromium
	$(BIN)/python -m pytest tests/browser

ansible: packages $(DEV) ## inventories and patterns held against Ansible itself
	$(BIN)/python -m pytest --numprocesses 2 tests/ansible

contract: packages $(DEV) ## TF Serving's contract, held by the stand-in, or by SERVER=PATH or IMAGE=NAME:TAG
	$(BIN)/python -m pytest --numprocesses 4 --dist loadfile tests/contract

seeded: packages $(DEV) ## known bugs put into the product, each of which the tests have to find
	$(BIN)/python -m pytest --numprocesses 2 tests/seeded

upstream: packages $(DEV) ## tensorflow/serving's own test against the stand-in; TFS_CHECKOUT=DIR names a checkout
	$(BIN)/python -m pytest tests/upstream

fleet: packages $(DEV) ## real hosts: sshd, rsync, Docker, HAProxy; three labs at a time; a quarter of an hour (root)
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile -m 'not long' tests/fleet

long: packages $(DEV) ## the fleet's long forms: faults at other moments, other turns of the same; half an hour (root)
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile -m long tests/fleet

soak: export FLEETDEPLOY_EXAMPLES ?= 40
soak: packages $(DEV) ## 2,000 examples of each property, 500 lives of a fleet, 120 races of two controllers (root); hours; FLEETDEPLOY_EXAMPLES=40 scales them
	$(BIN)/python -m pytest --timeout 14400 tests/fleet/test_locks.py::test_of_two_controllers_one_works
	$(BIN)/python -m pytest --numprocesses 2 --timeout 0 $$(grep -rl --include='test_*.py' hypothesis tests/unit)

crash-table: packages $(DEV) ## a run cut off at every record of its journal, in every way; prints the table
	FLEETDEPLOY_CRASH_TABLE=1 $(BIN)/python -m pytest --quiet --capture=no tests/unit/rollout/test_crash_table.py

bench: packages $(DEV) ## what the stand-in manages, in figures; some minutes
	$(BIN)/python tests/bench

recordings: packages $(DEV) ## make docs/recordings anew: runs on a lab and on a hundred simulated hosts; minutes (root)
	$(BIN)/python tests/recordings

lint: packages $(DEV) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

man: $(DEV) ## write the manual page anew from the command line
	$(BIN)/fleetdeploy man > share/man/man1/fleetdeploy.1.new && mv share/man/man1/fleetdeploy.1.new share/man/man1/fleetdeploy.1

lock: $(DEV) ## resolve requirements/*.in anew
	for name in run dev; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --upgrade \
	    --no-emit-index-url --no-emit-find-links --no-header \
	    --override requirements/overrides.txt requirements/$$name.in -o requirements/$$name.txt; \
	done

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

packages:
	@PYTHON=$(PYTHON) .ci/packages

$(RUN): | packages
	@echo "installing requirements/run.txt into $(VENV) (TensorFlow is 270 MB of it)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) --require-hashes -r requirements/run.txt
	@$(PIP) --no-build-isolation --editable .
	@touch $@

$(DEV): | packages
	@echo "installing requirements/dev.txt into $(VENV) (TensorFlow is 270 MB of it)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) --require-hashes -r requirements/dev.txt
	@$(PIP) --no-build-isolation --editable .
	@touch $@ $(RUN)
