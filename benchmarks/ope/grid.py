"""Does a certified interval cover the policy's true value? A grid of worlds of known truth.

Full form: 788 worlds of IPS, SNIPS and DR (true and estimated propensities, users who come once or
return), MIPS and slates; 10,000 repetitions up to 1e4 rows and wherever users come once, else and
where models are refitted 2,000; then, apart, 72 worlds of clipped estimates with a bound on their
bias, and 432 worlds on which no threshold was chosen. About twelve minutes of one core. Quick form:
every tenth world with 1,000 repetitions, under a minute. Finished worlds are kept, a line each, in
the file that the environment variable ``MRLM_GRID`` names (default: ``mrlm-grid.jsonl`` in the
temporary folder) and not run again; a line holds the fingerprint of the code it came from, and
others are left aside.

A cell, one world and estimator, counts as well supported when it has at least 50 effective users
with a reward, and an effective sample size of at least 200, in expectation and by the estimator's
own true weights: the number of users by Kish's formula over their weighted rewards, which is the
plain number where all weights are 0 or one constant.
"""

from __future__ import annotations

import hashlib
import inspect
import itertools
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.ope import _cells, _fitted, _plain_cells
from benchmarks.ope._bounded_cells import BoundedCell
from benchmarks.ope._cells import Cell, outcomes
from benchmarks.ope._held_out_cells import HeldOutCell
from benchmarks.ope._mips_cells import MIPSCell
from benchmarks.ope._plain_cells import PlainCell
from benchmarks.ope._slate_cells import SlateCell
from benchmarks.rows import Row
from mrlm.ope.intervals import student
from mrlm.ope.verdict.certify import certify
from mrlm.ope.verdict.diagnostics import Diagnostics

LEVEL = 0.95
BAR = LEVEL - 0.01
CERTIFY = 0.9
KEEP = "MRLM_GRID"
PEER_LOGS = 200
# What the figures of a cell depend on, beside the module that makes it.
_MEASURED = (
    _cells,
    _fitted,
    _plain_cells,
    student,
    *(inspect.getmodule(x) or _cells for x in (certify, Diagnostics)),
)
_DISTANCES = ("near", "far", "soft", "sharp")


def cells() -> tuple[Cell, ...]:
    """All worlds of the grid."""
    product = itertools.product
    items, rates = (2, 10, 100, 1000, 10_000), (0.001, 0.01, 0.05, 0.2)
    sizes = (500, 2000, 10_000, 100_000, 300_000, 1_000_000)
    few = product((2, 100, 10_000), (1500, 30_000, 300_000), (0.01, 0.1), ("near", "sharp"))
    fitted = product((10, 1000), (500, 10_000, 1_000_000), (0.01, 0.1), _DISTANCES)
    mips = product(
        (100, 10_000), (500, 2000, 10_000, 300_000), (0.02, 0.2), ("near", "far", "soft"),
        (0.0, 0.25),
    )  # fmt: skip
    return (
        *(PlainCell(*c) for c in product(items, sizes, rates, _DISTANCES)),
        *(PlainCell(*c) for c in product(items, (30_000, 300_000), (0.02, 0.1), _DISTANCES)),
        *(PlainCell(*c, rows_per_user=3) for c in few),
        *(PlainCell(*c, propensity="estimated") for c in fitted),
        *(MIPSCell(*c) for c in mips),
        *(
            SlateCell(*c)
            for c in product(
                (500, 3000, 10_000, 100_000), (0.02, 0.1), ("near", "far", "sharp"), (True, False)
            )
        ),
    )


def bounded() -> tuple[Cell, ...]:
    """Worlds of clipped and shrunken estimates, apart: their intervals hold the bias too."""
    sizes = (500, 2000, 10_000, 300_000)
    whole = itertools.product((10, 100, 1000), sizes, (0.02, 0.2), ("far", "soft", "sharp"))
    return tuple(BoundedCell(*c) for c in whole)


def held_out() -> tuple[Cell, ...]:
    """Worlds that took no part in the choice of any threshold."""
    product = itertools.product
    policies = ("popular", "top", "greedy", "boltzmann")
    return (
        *(
            HeldOutCell(*c)
            for c in product(
                (3, 5, 40, 400, 5000, 50_000),
                (800, 4000, 25_000, 150_000, 600_000),
                (0.003, 0.03, 0.15),
                policies,
            )
        ),
        *(
            HeldOutCell(*c, rows_per_user=2)
            for c in product((3, 40, 5000), (1200, 40_000, 400_000), (0.03, 0.15), policies)
        ),
    )


@dataclass(frozen=True)
class Found:
    """What the repetitions of one world gave for one estimator.

    Attributes:
        cell: key of the world.
        estimator: name.
        number: repetitions.
        certified: how many were certified.
        covered: how many of those covered.
        low: how many of those had the truth above the interval.
        any_covered: how many of all repetitions covered.
        without: how many would be certified without the candidates' propensities.
        without_covered: how many of those covered.
        bounded: whether the estimator has no bias, or a bound on it; the others refuse.
        nonzero: expected effective users with a reward.
        effective: expected effective sample size.
        code: fingerprint of the code.
    """

    cell: str
    estimator: str
    number: int
    certified: int
    covered: int
    low: int
    any_covered: int
    without: int
    without_covered: int
    bounded: bool
    nonzero: float
    effective: float
    code: str

    @property
    def supported(self) -> bool:
        """Whether the cell counts as well supported."""
        return self.nonzero >= 50 and self.effective >= 200

    @property
    def coverage(self) -> float:
        """Share of the certified that cover; NaN without any."""
        return self.covered / self.certified if self.certified else float("nan")

    @property
    def tolerance(self) -> float:
        """Monte Carlo allowance below the bar: none for cells of 10,000 repetitions."""
        if not self.certified or self.number >= 10_000:
            return 0.0
        return float(3 * np.sqrt(BAR * (1 - BAR) / self.certified))


def measure(cell: Cell, number: int, code: str) -> list[Found]:
    """All estimators of one world."""
    seed = int.from_bytes(hashlib.sha256(cell.key.encode()).digest()[:4], "big")
    problem = cell.problem()
    found = []
    for name, o in outcomes(problem, number, seed, LEVEL).items():
        inside = (o.lower <= problem.truth) & (problem.truth <= o.upper)
        nonzero, effective = problem.expected(name)
        found.append(
            Found(
                cell=cell.key,
                estimator=name,
                number=number,
                certified=int(o.certified.sum()),
                covered=int((o.certified & inside).sum()),
                low=int((o.certified & (o.upper < problem.truth)).sum()),
                any_covered=int(inside.sum()),
                without=int(o.without_candidates.sum()),
                without_covered=int((o.without_candidates & inside).sum()),
                bounded=problem.reference[name].covers_policy_value,
                nonzero=nonzero,
                effective=effective,
                code=code,
            )
        )
    return found


def run(quick: bool) -> list[Row]:
    """The worst coverage, the shares of certified repetitions, the held-out worlds, and obp."""
    step = 10 if quick else 1
    found = list(itertools.chain.from_iterable(_kept(cells()[::step], quick)))
    clipped = list(itertools.chain.from_iterable(_kept(bounded()[::step], quick)))
    apart = list(itertools.chain.from_iterable(_kept(held_out()[::step], quick)))
    return [
        *_rows(found, quick),
        _refused(found),
        _without_candidates(found),
        *_apart("clipped, with a bound on the bias", _without_bar(_rows(clipped, quick))),
        *_apart("held-out worlds", _rows(apart, quick)),
        *peers(),
    ]


def _rows(all_found: Sequence[Found], quick: bool) -> list[Row]:
    found = [f for f in all_found if f.bounded]
    judged = [f for f in found if f.certified]
    worst = min(judged, key=lambda f: f.coverage + f.tolerance)
    strict = [f for f in judged if not f.tolerance] or judged
    lowest = min(strict, key=lambda f: f.coverage)
    below = [f for f in judged if f.coverage + f.tolerance < BAR]
    supported = [f for f in found if f.supported]
    least = min(supported, key=lambda f: f.certified / f.number)
    share = len(supported) / len(found)
    sizes = f"{len(found)} cells, {sum(f.number for f in found)} repetitions"
    return [
        Row(
            "cells whose certified intervals cover less than .94",
            len(below),
            bar="none",
            holds=not below,
            note=f"{sizes}; tolerance of 3 standard errors in cells of fewer than 10,000 "
            "repetitions only; " + "; ".join(_told(f) for f in below[:6]),
        ),
        Row(
            "coverage in the worst cell, with its tolerance",
            worst.coverage + worst.tolerance,
            bar=f">= {BAR:g}",
            holds=worst.coverage + worst.tolerance >= BAR,
            note=_told(worst),
        ),
        Row(
            "coverage in the worst cell of 10,000 repetitions, without tolerance",
            lowest.coverage,
            bar=f">= {BAR:g}",
            holds=lowest.coverage >= BAR,
            note=_told(lowest),
        ).where(not quick),
        Row(
            "least share certified in a well supported cell",
            least.certified / least.number,
            bar=f">= {CERTIFY:g}",
            holds=least.certified >= CERTIFY * least.number,
            note=_told(least),
        ),
        Row(
            "share of cells that are well supported",
            share,
            bar=">= 0.5",
            holds=share >= 0.5,
            note=f"{len(supported)} of {len(found)}",
        ).where(not quick),
    ]


def _apart(name: str, rows: Sequence[Row]) -> list[Row]:
    """The same rows of another set of cells."""
    return [replace(row, measure=f"{name}: {row.measure}") for row in rows]


def _without_bar(rows: Sequence[Row]) -> list[Row]:
    """Shares as figures only: none is promised of these cells."""
    return [replace(r, bar="", holds=None) if "share" in r.measure else r for r in rows]


def _refused(all_found: Sequence[Found]) -> Row:
    """Cells of estimators that have no bound on their bias: none may be certified."""
    found = [f for f in all_found if not f.bounded]
    worst = min(found, key=lambda f: f.any_covered / f.number)
    return Row(
        "certified repetitions of estimators without a bound on their bias",
        sum(f.certified for f in found),
        bar="none",
        holds=not any(f.certified for f in found),
        note=f"{len(found)} cells, in none of the rows above; what they would be worth: "
        f"{worst.estimator} {worst.cell} covers in {worst.any_covered / worst.number:.3f}",
    )


def _without_candidates(all_found: Sequence[Found]) -> Row:
    """What the verdicts of logs without the candidates' propensities would be worth."""
    judged = [f for f in all_found if f.bounded and f.without]
    below = [
        f
        for f in judged
        if f.without_covered / f.without + (f.tolerance if f.number < 10_000 else 0.0) < BAR
    ]
    told = "; ".join(
        f"{f.estimator} {f.cell}: {f.without_covered / f.without:.3f} of {f.without}"
        for f in below[:6]
    )
    return Row(
        "cells below .94 where no candidate's propensity is logged",
        len(below),
        note=f"of {len(judged)}: the verdict then rests on the weights that the log shows; {told}",
    )


def peers() -> list[Row]:
    """Obp's percentile bootstrap on logs of three cells of the grid."""
    try:
        from obp.utils import estimate_confidence_interval_by_bootstrap as bootstrap
    except ImportError:
        return []
    rows = []
    for cell in (
        PlainCell(10, 2000, 0.05, "sharp"),
        PlainCell(100, 10_000, 0.05, "sharp"),
        PlainCell(100, 10_000, 0.05, "far"),
    ):
        w, g = cell.world(), np.random.default_rng(3)
        weight = np.divide(
            w.target, w.propensity, out=np.zeros_like(w.target), where=w.propensity > 0
        )[w.context]
        scores = (weight * w.clicks).sum(1)
        covered = 0
        for seed in range(PEER_LOGS):
            drawn = g.multinomial(cell.rows, w.probability)
            ci = bootstrap(np.repeat(scores, drawn), n_bootstrap_samples=300, random_state=seed)
            covered += ci["95.0% CI (lower)"] <= w.truth <= ci["95.0% CI (upper)"]
        ours = next(f for f in measure(cell, 2000, "") if f.estimator == "ips")
        rows.append(
            Row(
                f"coverage of IPS, all logs, {cell.key}",
                ours.any_covered / ours.number,
                peer=covered / PEER_LOGS,
                note=f"ours 2,000 logs, {ours.certified / ours.number:.2f} certified; peer: obp "
                f"bootstrap, {PEER_LOGS} logs, 300 resamples",
            )
        )
    return rows


def _number(cell: Cell, quick: bool) -> int:
    if quick:
        return 1000
    return 2000 if cell.refitted or (cell.rows > 10_000 and _returns(cell)) else 10_000


def _returns(cell: Cell) -> bool:
    return getattr(cell, "rows_per_user", 1) > 1


def _kept(chosen: Iterable[Cell], quick: bool) -> Iterator[list[Found]]:
    """Results of the cells, from the file where they are there, else measured and written."""
    default = Path(tempfile.gettempdir()) / "mrlm-grid.jsonl"
    path = Path(os.environ.get(KEEP, default))
    known = _read(path)
    for cell in chosen:
        code = _code(cell)
        number = _number(cell, quick)
        results = known.get((cell.key, number, code), [])
        if not results:
            results = measure(cell, number, code)
            # One line a cell: a run that is stopped leaves no half of one.
            line = json.dumps([f.__dict__ for f in results])
            with path.open("a") as file:
                file.write(line + "\n")
        yield results


def _read(path: Path) -> dict[tuple[str, int, str], list[Found]]:
    known: dict[tuple[str, int, str], list[Found]] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            results = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(results, list) and set(results[0]) == set(Found.__annotations__):
            found = [Found(**r) for r in results]
            known[found[0].cell, found[0].number, found[0].code] = found
    return known


def _code(cell: Cell) -> str:
    """Fingerprint of what the figures of a cell depend on."""
    own = inspect.getmodule(type(cell)) or _cells
    text = "".join(inspect.getsource(m) for m in (*_MEASURED, own))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _told(f: Found) -> str:
    return (
        f"{f.estimator} {f.cell}: {f.coverage:.4f} of {f.certified} certified of {f.number}, "
        f"{f.low} too low, expected rewarded users {f.nonzero:.0f}, ESS {f.effective:.0f}"
    )
