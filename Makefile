# Each target does all its own set-up.
WORKSPACE ?= workspace
LOGS ?= movielens
ifeq ($(LOGS),obd)
WORKSPACE := $(if $(filter workspace,$(WORKSPACE)),workspace-obd,$(WORKSPACE))
endif
READY := .venv/.ready
MRLM := .venv/bin/mrlm

.PHONY: run test ui bench clean-workspace setup lint lock

run: $(READY)
	$(MRLM) demo --logs $(LOGS) --workspace $(WORKSPACE)

test: $(READY) lint
	.venv/bin/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

lint: $(READY)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

ui: $(READY)
	$(MRLM) ui --workspace $(WORKSPACE)

bench: $(READY)
	.venv/bin/python -m benchmarks coverage --quick
	.venv/bin/python -m benchmarks ope --quick

setup: $(READY)

# The first python that really runs as 3.11 to 3.13: a name on PATH can be a shim of nothing.
$(READY): pyproject.toml infra/requirements.lock infra/setup.sh
	sh infra/setup.sh
	touch $(READY)

# Only for whoever changes a dependency: needs uv.
lock:
	uv pip compile --universal --python-version 3.11 pyproject.toml --extra demo --extra dev \
		--no-header -o infra/requirements.lock

clean-workspace:
	rm -rf $(WORKSPACE)
