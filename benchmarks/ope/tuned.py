"""Are estimators with a tuned parameter nearer to the truth than those without one?

Two worlds with known truth: weights that are 0 or 3 (a uniform logger over three items and a policy
that always shows one), where clipping only scales the estimate down, and heavy tails (a logger that
shows most items rarely), where it can help. Clipped IPS is held against IPS, and the shrunken
doubly robust ones, whose reward model is rough, against DR, in the same log.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.rows import Row
from mrlm.ope.table import evaluate_table

REPETITIONS = 400
USERS, ROWS = 600, 3000
# What a fair coin shows at most in 400 tosses, at three standard errors.
FURTHER = 0.57
UNTUNED = {"clipped_ips": "ips", "switch_dr": "dr", "dr_os": "dr", "dr_ps": "dr"}
Floats = NDArray[np.float64]


def zero_or_three(seed: int) -> tuple[pa.Table, float]:
    """A log of three items shown at random, for a policy that always shows the user's own."""
    g = np.random.default_rng(seed)
    rate = np.array([[0.09, 0.02, 0.03], [0.02, 0.05, 0.03], [0.04, 0.02, 0.06]])
    kind = g.integers(0, 3, ROWS)
    item = g.integers(0, 3, ROWS)
    q = 0.5 * rate + 0.01
    return _table(
        g,
        np.full(ROWS, 1 / 3),
        (item == kind).astype(float),
        rate[kind, item],
        q[kind, item],
        q[kind, kind],
    ), float(np.diagonal(rate).mean())


def heavy_tails(seed: int) -> tuple[pa.Table, float]:
    """A log whose items are shown by a power law, for a policy that has other favourites."""
    world = np.random.default_rng(5)
    logger = np.arange(1, 51, dtype=np.float64) ** -1.6
    logger /= logger.sum()
    target, rate = world.dirichlet(np.ones(50)), world.beta(1, 15, 50)
    q = 0.5 * rate + 0.03
    g = np.random.default_rng(seed)
    item = g.choice(50, ROWS, p=logger)
    return _table(
        g, logger[item], target[item], rate[item], q[item], np.full(ROWS, target @ q)
    ), float(target @ rate)


WORLDS: dict[str, Callable[[int], tuple[pa.Table, float]]] = {
    "weights 0 or 3": zero_or_three,
    "heavy tails": heavy_tails,
}


@dataclass(frozen=True)
class Compared:
    """Relative errors of tuned estimators and of those without a parameter, over repetitions.

    Attributes:
        further: share of the repetitions in which the tuned one is further from the truth.
        median: of its absolute errors, over the truth.
        untuned_median: likewise, of the other.
    """

    further: float
    median: float
    untuned_median: float

    @property
    def holds(self) -> bool:
        """Whether tuning pays, or does no harm, in this world."""
        return self.further <= FURTHER and self.median <= self.untuned_median


def compare(world: str, families: Sequence[str], repetitions: int) -> dict[str, Compared]:
    """Each family against its untuned estimator, over the seeds from 0 on."""
    names = [*families, *dict.fromkeys(UNTUNED[f] for f in families)]
    errors: dict[str, list[float]] = {n: [] for n in names}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.parquet"
        for seed in range(repetitions):
            table, truth = WORLDS[world](seed)
            pq.write_table(table, path)
            for e in evaluate_table(path, estimators=names).estimates:
                errors[e.estimator.removesuffix("(tuned)")].append(abs(e.value / truth - 1))
    error = {n: np.array(found) for n, found in errors.items()}
    return {
        f: Compared(
            # Of equal sums in another order neither is further.
            further=float(np.mean(error[f] > error[UNTUNED[f]] + 1e-9)),
            median=float(np.median(error[f])),
            untuned_median=float(np.median(error[UNTUNED[f]])),
        )
        for f in families
    }


def in_default() -> set[str]:
    """The estimators that are listed where none is asked for."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.parquet"
        pq.write_table(heavy_tails(0)[0], path)
        return {e.estimator.removesuffix("(tuned)") for e in evaluate_table(path).estimates}


def run(quick: bool) -> list[Row]:
    """Both worlds at 400 repetitions (100 in the quick form)."""
    repetitions = REPETITIONS // 4 if quick else REPETITIONS
    listed = in_default()
    rows = []
    for world in WORLDS:
        for family, found in compare(world, [*UNTUNED], repetitions).items():
            rows.append(
                Row(
                    f"median error over the truth, {world}, {family} tuned",
                    found.median,
                    found.untuned_median,
                    bar=f"<= peer and further in <= {FURTHER:.0%}, else not in the default",
                    holds=found.holds or family not in listed,
                    note=f"further from the truth in {found.further:.1%} of {repetitions}; "
                    f"{'meets' if found.holds else 'misses'} the bar for the default, "
                    f"{'is' if family in listed else 'is not'} in it; "
                    f"peer: {UNTUNED[family]}, the same logs",
                )
            )
    return rows


def _table(
    g: np.random.Generator, propensity: Floats, target: Floats, rate: Floats, q: Floats, v: Floats
) -> pa.Table:
    return pa.table(
        {
            "user_id": g.integers(0, USERS, ROWS),
            "propensity": propensity,
            "target_probability": target,
            "reward": (g.random(ROWS) < rate).astype(float),
            "q_hat": q,
            "v_hat": v,
        }
    )
