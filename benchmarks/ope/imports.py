"""Import of mrlm.ope: seconds, and what it brings along."""

from __future__ import annotations

import json
import subprocess
import sys
from statistics import median
from typing import Any

from benchmarks.ope._subprocesses import ROOT
from benchmarks.rows import Row

# What numpy and pyarrow bring along by themselves is theirs, not ours.
_THEIRS = """
import json, sys
import numpy, pyarrow.compute, pyarrow.parquet
print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))
"""
_CODE = """
import json, sys, time
before = set(sys.modules)
start = time.perf_counter()
import mrlm.ope
seconds = time.perf_counter() - start
named = {m.split('.')[0] for m in set(sys.modules) - before}
outside = sorted(m for m in named if m not in sys.stdlib_module_names and not m.startswith('_'))
print(json.dumps([seconds, outside]))
"""


def run(quick: bool) -> list[Row]:
    """Median over fresh processes; the first, which may find a cold disk, is left out."""
    found = []
    for _ in range(4 if quick else 12):
        found.append(_printed(_CODE))
    seconds = median(s for s, _ in found[1:])
    others = sorted(set(found[0][1]) - {"mrlm", "scipy", *_printed(_THEIRS)})
    return [
        Row("import of mrlm.ope, s", seconds, bar="< 0.5", holds=seconds < 0.5),
        Row(
            "packages imported beside numpy, scipy, pyarrow",
            len(others),
            bar="= 0",
            holds=not others,
            note=", ".join(others) or "none",
        ),
    ]


def _printed(code: str) -> Any:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)
