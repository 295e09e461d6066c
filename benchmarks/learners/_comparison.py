"""True values over seeds: means, paired differences, and intervals clustered by user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from benchmarks._demonstration import KnownLog
from benchmarks.rows import Row
from mrlm.bandit_log.ragged import segment_sum
from mrlm.bandit_log.users import group

Floats = NDArray[np.float64]
LEVEL = 0.05
LOGGER, ORACLE = "logger", "oracle"


def by_user(known: KnownLog, probabilities: Floats) -> list[float]:
    """Sum over each user's decisions of the policy's true value, in the order of their names."""
    offsets = known.log.decisions.offsets
    value = segment_sum(probabilities * known.truth, offsets)
    users, code = group(known.log.decisions.user)
    return np.round(np.bincount(code, weights=value, minlength=len(users)), 6).tolist()


def rows_by_user(known: KnownLog) -> dict[str, int]:
    """Decisions of each user, by name, in the order of the names."""
    users, code = group(known.log.decisions.user)
    return dict(zip(users.tolist(), np.bincount(code).tolist(), strict=True))


@dataclass(frozen=True)
class Values:
    """True values of some policies under S seeds of the logger, for U users.

    Attributes:
        users: U names.
        rows: float64, shape (S, U), decisions.
        sums: by policy, float64, shape (S, U), true value summed over decisions.
    """

    users: tuple[str, ...]
    rows: Floats
    sums: Mapping[str, Floats]

    @classmethod
    def of(cls, cells: Sequence[Mapping[str, object]]) -> Values:
        """From the cells of the seeds, each with ``rows`` by user and ``sums`` by policy."""
        users = sorted({u for cell in cells for u in cell["rows"]})  # type: ignore[attr-defined]
        place = {u: i for i, u in enumerate(users)}
        rows = np.zeros((len(cells), len(users)))
        sums: dict[str, Floats] = {}
        for s, cell in enumerate(cells):
            own = [place[u] for u in cell["rows"]]  # type: ignore[attr-defined]
            rows[s, own] = list(cell["rows"].values())  # type: ignore[attr-defined]
            for name, values in cell["sums"].items():  # type: ignore[attr-defined]
                sums.setdefault(name, np.full(rows.shape, np.nan))[s] = 0.0
                sums[name][s, own] = values
        return cls(tuple(users), rows, sums)

    def by_seed(self, policy: str) -> Floats:
        """Value under each seed, shape (S,); NaN where the policy was not measured."""
        return np.asarray(self.sums[policy].sum(1) / self.rows.sum(1), np.float64)

    def mean(self, policy: str) -> float:
        """Mean over seeds."""
        return float(np.nanmean(self.by_seed(policy)))

    def above(self, policy: str, other: str, judged: bool) -> Row:
        """Whether one policy is above another: paired over seeds, and clustered by user.

        Args:
            policy: should be above.
            other: the other.
            judged: whether there are seeds enough to judge by.
        """
        paired = self.by_seed(policy) - self.by_seed(other)
        paired = paired[np.isfinite(paired)]
        count, mean = len(paired), float(paired.mean())
        error = float(paired.std(ddof=1) / np.sqrt(count)) if count > 1 else np.nan
        least = mean - float(stdtrit(max(count - 1, 1), 1 - LEVEL)) * error
        low, high = self.clustered(policy, other)
        return Row(
            f"{policy}, less {other}",
            mean,
            bar="both lower ends above 0",
            holds=least > 0 and low > 0,
            note=f"paired over {count} seeds: standard error {error:.5f}, one-sided 95 % lower "
            f"end {least:+.5f}; clustered by user, 90 % interval [{low:+.5f}, {high:+.5f}]",
        ).where(judged)

    def clustered(self, policy: str, other: str) -> tuple[float, float]:
        """90 % interval of the difference over all seeds together, clustered by user."""
        kept = np.isfinite(self.sums[policy].sum(1) + self.sums[other].sum(1))
        paired = (self.sums[policy] - self.sums[other])[kept].sum(0)
        rows = self.rows[kept].sum(0)
        value = paired.sum() / rows.sum()
        influence = (paired - value * rows) / rows.sum()
        users = int((rows > 0).sum())
        error = float(np.sqrt(influence @ influence * users / (users - 1)))
        reach = float(stdtrit(users - 1, 1 - LEVEL)) * error
        return float(value - reach), float(value + reach)
