"""``python -m benchmarks NAME [--quick] [--json]``: run one benchmark and print its rows.

``ope`` and ``learners`` run every part of the room, ``ope.grid`` one of them.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys

import benchmarks
from benchmarks import behaviour, learners, loop, meta, ope, promotion, serving
from benchmarks.rows import Row

_NOT_BENCHMARKS = {"__main__", "rows"}


def main(arguments: list[str] | None = None) -> int:
    """Run the named benchmark; 0 when every bar holds, 1 when one does not."""
    found = [m.name for m in pkgutil.iter_modules(benchmarks.__path__)]
    names = sorted(n for n in found if n not in _NOT_BENCHMARKS and not n.startswith("_"))
    names += [f"ope.{part}" for part in ope.parts()]
    names += [f"learners.{part}" for part in learners.parts()]
    names += [f"behaviour.{part}" for part in behaviour.parts()]
    names += [f"meta.{part}" for part in meta.parts()]
    names += [f"promotion.{part}" for part in promotion.parts()]
    names += [f"loop.{part}" for part in loop.parts()]
    names += [f"serving.{part}" for part in serving.parts()]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=names)
    parser.add_argument("--quick", action="store_true", help="a smaller run of the same")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    rows: list[Row] = importlib.import_module(f"benchmarks.{options.name}").run(options.quick)
    if options.json:
        print(json.dumps({"benchmark": options.name, "rows": [r.to_json() for r in rows]}))
    else:
        _print(rows)
    return int(any(r.holds is False for r in rows))


def _print(rows: list[Row]) -> None:
    width = max(len(r.measure) for r in rows)
    print(f"{'measure':<{width}}  {'ours':>9}  {'peer':>9}  bar")
    for r in rows:
        peer = "" if r.peer is None else f"{r.peer:.4g}"
        verdict = {True: "holds", False: "FAILS", None: ""}[r.holds]
        print(f"{r.measure:<{width}}  {r.ours:>9.4g}  {peer:>9}  {r.bar} {verdict}  {r.note}")


if __name__ == "__main__":
    sys.exit(main())
