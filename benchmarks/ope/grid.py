"""Does a certified interval cover the policy's true value? A grid of worlds of known truth.

Full form: 644 worlds, 3 estimators each, 10,000 repetitions up to 1e4 rows and for users without
repeated visits, else 2,000; about five minutes on one core. Quick form: every seventh world with
1,000 repetitions, about a minute. Finished worlds are kept, a line each, in the file that the
environment variable ``MRLM_GRID`` names (default: ``mrlm-grid.jsonl`` in the temporary folder) and
not run again; a line holds the fingerprint of the code it came from, and others are left aside.

A world counts as well supported when it has at least 50 effective users with a reward, and an
effective sample size of at least 200, in expectation: the number of users by Kish's formula over
their weighted rewards, which is the plain number where all weights are 0 or one constant.
"""

from __future__ import annotations

import hashlib
import inspect
import itertools
import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.ope import _cells
from benchmarks.ope._cells import ESTIMATORS, Cell, Floats, World, repetitions, world
from benchmarks.rows import Row
from mrlm.ope.certify import Thresholds, certify
from mrlm.ope.diagnostics import Diagnostics
from mrlm.ope.intervals import student
from mrlm.ope.intervals.student import degrees_of_freedom, ends_of

LEVEL = 0.95
BAR = LEVEL - 0.01
CERTIFY = 0.9
# Below this share of certified repetitions a cell's coverage is judged with its own Monte Carlo
# error, 3 standard errors, as are cells of 2,000 repetitions.
FEW = 0.1
KEEP = "MRLM_GRID"
PEER_LOGS = 200
_MEASURED = (
    _cells,
    student,
    *(inspect.getmodule(x) or _cells for x in (certify, Diagnostics)),
)


def cells() -> tuple[Cell, ...]:
    """All worlds of the grid."""
    plain = itertools.product(
        (2, 10, 100, 1000, 10_000),
        (500, 2000, 10_000, 100_000, 300_000, 1_000_000),
        (0.001, 0.01, 0.05, 0.2),
        ("near", "far", "soft", "sharp"),
    )
    between = itertools.product(
        (2, 10, 100, 1000, 10_000), (30_000, 300_000), (0.02, 0.1), ("near", "far", "soft", "sharp")
    )
    few = itertools.product((2, 100, 10_000), (1500, 30_000, 300_000), (0.01, 0.1))
    return (
        *(Cell(*c) for c in plain),
        *(Cell(*c) for c in between),
        *(Cell(*c, distance, 3) for c in few for distance in ("near", "sharp")),
        *(
            Cell(k, n, rate, distance, propensity="estimated")
            for k, n, rate, distance in itertools.product(
                (10, 1000), (500, 10_000, 1_000_000), (0.01, 0.1), ("near", "far", "soft", "sharp")
            )
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
    nonzero: float
    effective: float
    code: str

    @property
    def supported(self) -> bool:
        """Whether the world counts as well supported."""
        return self.nonzero >= 50 and self.effective >= 200

    @property
    def coverage(self) -> float:
        """Share of the certified that cover; NaN without any."""
        return self.covered / self.certified if self.certified else float("nan")

    @property
    def tolerance(self) -> float:
        """Monte Carlo allowance below the bar."""
        if not self.certified or (self.number >= 10_000 and self.certified >= FEW * self.number):
            return 0.0
        return float(3 * np.sqrt(BAR * (1 - BAR) / self.certified))


def measure(cell: Cell, number: int, code: str) -> list[Found]:
    """All estimators of one world."""
    seed = int.from_bytes(hashlib.sha256(cell.key.encode()).digest()[:4], "big")
    w = world(cell)
    nonzero, effective = expected(cell, w)
    found = []
    runs = repetitions(cell, number, seed)
    verdicts = np.array(
        [certify("ips", True, (d,), Thresholds()).certified for d in runs["ips"].diagnostics]
    )
    limit = np.array([d.tail_nonzero for d in runs["ips"].diagnostics])
    for name in ESTIMATORS:
        run = runs[name]
        m = run.moments
        freedom = degrees_of_freedom(m, limit)
        quantile = (1 + LEVEL) / 2
        lower, upper = ends_of(run.value, m.standard_error, freedom, m.skewness, quantile)
        inside = (lower <= w.truth) & (w.truth <= upper)
        found.append(
            Found(
                cell=cell.key,
                estimator=name,
                number=number,
                certified=int(verdicts.sum()),
                covered=int((verdicts & inside).sum()),
                low=int((verdicts & (upper < w.truth)).sum()),
                nonzero=nonzero,
                effective=effective,
                code=code,
            )
        )
    return found


def expected(cell: Cell, w: World) -> tuple[float, float]:
    """Effective users with a reward, and effective sample size, in expectation (Kish)."""
    weight: Floats = np.divide(
        w.target, w.propensity, out=np.zeros_like(w.target), where=w.propensity > 0
    )[w.context]
    users = cell.rows // cell.rows_per_user
    rewards = (weight * w.clicks).sum(1)
    total, square = (weight * w.count).sum(1), (weight**2 * w.count).sum(1)
    p = w.probability
    return (
        float(users * (p @ rewards) ** 2 / (p @ rewards**2)),
        float(users * (p @ total) ** 2 / (p @ square)),
    )


def run(quick: bool) -> list[Row]:
    """The worst coverage, the shares of certified repetitions, and obp beside it."""
    chosen = cells()[::7] if quick else cells()
    found = list(itertools.chain.from_iterable(_kept(chosen, quick)))
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
            note=f"{sizes}; " + "; ".join(_told(f) for f in below[:6]),
        ),
        Row(
            "coverage in the worst cell, with tolerance",
            worst.coverage + worst.tolerance,
            bar=f">= {BAR:g}",
            holds=worst.coverage + worst.tolerance >= BAR,
            note=_told(worst),
        ),
        Row(
            "coverage in the worst cell without tolerance",
            lowest.coverage,
            bar="" if quick else f">= {BAR:g}",
            holds=None if quick else lowest.coverage >= BAR,
            note=_told(lowest),
        ),
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
            bar=">= 0.5" if not quick else "",
            holds=share >= 0.5 if not quick else None,
            note=f"{len(supported)} of {len(found)}",
        ),
        *peers(),
    ]


def peers() -> list[Row]:
    """Obp's percentile bootstrap on logs of three cells of the grid."""
    try:
        from obp.utils import estimate_confidence_interval_by_bootstrap as bootstrap
    except ImportError:
        return []
    rows = []
    for cell in (
        Cell(10, 2000, 0.05, "sharp"),
        Cell(100, 10_000, 0.05, "sharp"),
        Cell(100, 10_000, 0.05, "far"),
    ):
        w, g = world(cell), np.random.default_rng(3)
        weight = np.divide(
            w.target, w.propensity, out=np.zeros_like(w.target), where=w.propensity > 0
        )[w.context]
        scores = (weight * w.clicks).sum(1)
        covered = 0
        for seed in range(PEER_LOGS):
            drawn = g.multinomial(cell.rows, w.probability)
            ci = bootstrap(np.repeat(scores, drawn), n_bootstrap_samples=300, random_state=seed)
            covered += ci["95.0% CI (lower)"] <= w.truth <= ci["95.0% CI (upper)"]
        ours = measure(cell, 2000, "")[0]
        all_ours = _uncertified_coverage(cell)
        rows.append(
            Row(
                f"coverage of IPS, all logs, {cell.key}",
                all_ours,
                peer=covered / PEER_LOGS,
                note=f"ours 2,000 logs, {ours.certified / ours.number:.2f} certified; peer: obp "
                f"bootstrap, {PEER_LOGS} logs, 300 resamples",
            )
        )
    return rows


def _uncertified_coverage(cell: Cell) -> float:
    run = repetitions(cell, 2000, 4)["ips"]
    m = run.moments
    freedom = degrees_of_freedom(m, np.array([d.tail_nonzero for d in run.diagnostics]))
    lower, upper = ends_of(run.value, m.standard_error, freedom, m.skewness, (1 + LEVEL) / 2)
    truth = world(cell).truth
    return float(np.mean((lower <= truth) & (truth <= upper)))


def _number(cell: Cell, quick: bool) -> int:
    if quick:
        return 1000
    return 10_000 if cell.rows <= 10_000 or cell.rows_per_user == 1 else 2000


def _kept(chosen: Iterable[Cell], quick: bool) -> Iterable[list[Found]]:
    """Results of the cells, from the file where they are there, else measured and written."""
    default = Path(tempfile.gettempdir()) / "mrlm-grid.jsonl"
    path = Path(os.environ.get(KEEP, default))
    code = _code()
    known: dict[tuple[str, int], list[Found]] = {}
    if path.exists():
        for line in path.read_text().splitlines():
            f = Found(**json.loads(line))
            if f.code == code:
                known.setdefault((f.cell, f.number), []).append(f)
    for cell in chosen:
        number = _number(cell, quick)
        results = known.get((cell.key, number), [])
        if len(results) < len(ESTIMATORS):
            results = measure(cell, number, code)
            with path.open("a") as file:
                file.writelines(json.dumps(f.__dict__) + "\n" for f in results)
        yield results


def _code() -> str:
    """Fingerprint of what the figures depend on."""
    text = "".join(inspect.getsource(m) for m in _MEASURED)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _told(f: Found) -> str:
    return (
        f"{f.estimator} {f.cell}: {f.coverage:.4f} of {f.certified} certified of {f.number}, "
        f"{f.low} too low, expected rewarded users {f.nonzero:.0f}, ESS {f.effective:.0f}"
    )
