.DEFAULT_GOAL := help
.PHONY: help setup demo demo-down lint format test test-unit test-component test-older test-docker test-molecule test-e2e test-fleets test-upstream molecule bench-queue bench-launch bench-mesh bench-apply bench-check bench-deploy docs clean
SHELL := /bin/bash

# Tools of the project's own environment first: Ansible starts `ansible-config`, Molecule starts `ansible-playbook`.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
PYTEST := .venv/bin/python -m pytest

help:  ## Show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## Prepare the Python environment in .venv
	@scripts/setup.sh

demo:  ## Bring up a practice fleet of four machines and run real jobs on it
	@started=$$(date +%s.%N); scripts/setup.sh && exec .venv/bin/python -m dagfleet.lab.demo --started "$$started"

demo-down:  ## Remove every container, network and process that the demo made
	@if [ -x .venv/bin/dagfleet ]; then exec .venv/bin/python -m dagfleet.lab.demo --down; else echo "nothing to remove"; fi

lint: setup  ## Check style, types, roles, YAML and shell
	@scripts/lint.sh

format: setup  ## Format the Python code
	@ruff format . && ruff check --fix .

test: setup  ## Run every suite: unit, component, older Dagster, Docker, Molecule, end to end
	@scripts/test.sh

test-unit: setup  ## Run the unit tests: no root, no Docker, a minute or two
	@$(PYTEST) tests/unit --numprocesses 2 --dist loadfile

test-component: setup  ## Run the tests with real HAProxy, PostgreSQL and gRPC on loopback
	@scripts/test.sh component

test-older: setup  ## Run both plugins' tests with the oldest Dagster that they support
	@scripts/test.sh older

test-docker: setup  ## Run the tests that need a Docker Engine
	@scripts/test.sh docker

test-molecule: setup  ## Run the Molecule scenario of every role
	@scripts/test.sh molecule

test-e2e: setup  ## Run the end-to-end tests on a practice fleet of their own
	@scripts/test.sh e2e

test-fleets: setup  ## Try other ways to Docker, Terraform, and the life of a host on more fleets; half an hour
	@scripts/test.sh fleets

test-upstream: setup  ## Run Dagster's own tests of its queue against ours (fetches its source archive)
	@scripts/upstream.sh

molecule: setup  ## Converge one role again on its machine: make molecule ROLE=mesh
	@scripts/molecule.sh converge "$(ROLE)"

bench-queue: setup  ## Compare our queue daemon with Dagster's on one PostgreSQL; QUICK=1 takes about a minute
	@scripts/environment.sh reference-coordinator && nice -n 5 .venv/bin/python -m tests.bench.queue $(if $(QUICK),--quick)

bench-launch: setup  ## Measure a launch beside the Docker API and other launchers; QUICK=1 for less
	@nice -n 5 .venv/bin/python -m tests.bench.launch

bench-mesh: setup  ## Measure what the mesh adds to gRPC, Docker and SQL, and SSH to Docker; QUICK=1 takes under a minute
	@nice -n 5 .venv/bin/python -m tests.bench.mesh $(if $(QUICK),--quick)

bench-apply: setup  ## Measure check, plan, apply and a host more on fleets of 3 and 8 hosts; about 20 minutes
	@.venv/bin/python -m tests.bench.apply

bench-check: setup  ## Measure check of 1 host and of 20; two minutes
	@.venv/bin/python -m tests.bench.check

bench-deploy: setup  ## Measure a deploy, a rollback and the push of a changed layer to three hosts
	@.venv/bin/python -m tests.bench.deploy

docs: setup  ## Write the generated reference pages again
	@.venv/bin/python scripts/generate_reference.py
	@.venv/bin/python scripts/generate_role_readmes.py

clean:  ## Remove the environment and every cached image archive
	rm -rf .venv .build
