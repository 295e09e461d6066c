"""Import of mrlm.ope: seconds, and what it brings along."""

from __future__ import annotations

import json
import subprocess
import sys
from statistics import median

from benchmarks.ope.subprocesses import ROOT
from benchmarks.rows import Row

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
        done = subprocess.run(
            [sys.executable, "-c", _CODE], cwd=ROOT, check=True, capture_output=True, text=True
        )
        found.append(json.loads(done.stdout))
    seconds = median(s for s, _ in found[1:])
    others = sorted(set(found[0][1]) - {"mrlm", "numpy", "scipy", "pyarrow"})
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
