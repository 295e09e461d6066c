"""Repetitions of small exact worlds: a log is a multinomial count of the types of its users.

Users who are exchangeable are drawn as counts, so a log of a million rows costs as much as one of
five hundred. A cell of any kind gives a ``Problem``; what its logs say is computed here, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.intervals.student import Moments, degrees_of_freedom, ends_of
from mrlm.ope.verdict.certify import Thresholds, certify
from mrlm.ope.verdict.diagnostics import Diagnostics, expected_sample_size

Floats = NDArray[np.float64]
AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Sums:
    """Sums of one estimate over the rounds of each of T types of users.

    Arrays broadcast to (R, T): one row an R-th log where weights are estimated from it.

    Attributes:
        numerator: of the estimate's ratio.
        denominator: likewise.
        reward: weight times reward.
        weight: of weights.
        square: of squared weights.
        largest: the largest weight.
        matched: rounds with a weight.
        nonzero: rounds with a weight and a reward.
        expected: expected squared weights given the context; NaN if unknown.
    """

    numerator: Floats
    denominator: Floats
    reward: Floats
    weight: Floats
    square: Floats
    largest: Floats
    matched: Floats
    nonzero: Floats
    expected: Floats


@dataclass(frozen=True)
class Estimator:
    """One estimate of a problem.

    Attributes:
        low: its sums; those of the lowest value that a bound on its bias allows.
        high: those of the highest; the same without such a bound.
        covers_policy_value: see ``mrlm.ope.Scores``.
    """

    low: Sums
    high: Sums
    covers_policy_value: bool = True

    @classmethod
    def plain(cls, sums: Sums, covers_policy_value: bool = True) -> Estimator:
        """Without a bias."""
        return cls(sums, sums, covers_policy_value)


@dataclass(frozen=True)
class Problem:
    """A world, the size of its logs, and what its estimators make of a log.

    Attributes:
        probability: float64, shape (T,), of the types of users.
        users: in a log.
        rows_per_user: rounds of each.
        truth: value of the target.
        estimators: by name, from the counts of a log, int64, shape (R, folds T).
        reference: the same with true propensities, shape (T,), for what is to be expected.
        folds: users are dealt to so many folds, counted apart.
    """

    probability: Floats
    users: int
    rows_per_user: int
    truth: float
    estimators: Callable[[NDArray[np.int64]], Mapping[str, Estimator]]
    reference: Mapping[str, Estimator]
    folds: int = 1

    def logs(self, number: int, seed: int) -> Iterator[NDArray[np.int64]]:
        """Counts of types in ``number`` logs, in pieces of bounded size."""
        g = np.random.default_rng(seed)
        sizes = [(self.users + self.folds - 1 - k) // self.folds for k in range(self.folds)]
        step = max(1, AT_ONCE // (len(self.probability) * self.folds))
        for start in range(0, number, step):
            some = min(step, number - start)
            yield np.concatenate(
                [g.multinomial(size, self.probability, some) for size in sizes], axis=1
            )

    def expected(self, name: str) -> tuple[float, float]:
        """Effective users with a reward, and effective sample size, in expectation (Kish)."""
        sums, p = self.reference[name].low, self.probability
        return (
            float(self.users * (p @ sums.reward) ** 2 / (p @ sums.reward**2)),
            float(self.users * (p @ sums.weight) ** 2 / (p @ sums.square)),
        )


class Cell(Protocol):
    """What the grid needs of a cell of any kind."""

    @property
    def key(self) -> str:
        """Name of the cell, unique in the grid."""
        ...

    @property
    def rows(self) -> int:
        """Rounds of a log."""
        ...

    @property
    def refitted(self) -> bool:
        """Whether models are fitted to every log."""
        ...

    def problem(self) -> Problem:
        """The world and its estimators."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What R logs gave for one estimator, arrays of shape (R,).

    Attributes:
        value: the estimates; the lowest that the bound on the bias allows.
        lower: lower ends.
        upper: upper ends.
        certified: verdicts.
        without_candidates: verdicts, had the candidates' propensities not been logged.
        diagnostics: what the verdicts rest on.
    """

    value: Floats
    lower: Floats
    upper: Floats
    certified: NDArray[np.bool_]
    without_candidates: NDArray[np.bool_]
    diagnostics: tuple[Diagnostics, ...]


def outcomes(problem: Problem, number: int, seed: int, level: float) -> dict[str, Outcome]:
    """Intervals and verdicts of ``number`` logs, by estimator."""
    parts: dict[str, list[Outcome]] = {}
    for drawn in problem.logs(number, seed):
        seen: dict[int, tuple[Diagnostics, ...]] = {}
        verdicts: dict[tuple[int, bool], tuple[NDArray[np.bool_], NDArray[np.bool_]]] = {}
        for name, estimator in problem.estimators(drawn).items():
            low, covers = estimator.low, estimator.covers_policy_value
            # Estimates that share their weights share diagnostics and verdict.
            weights = id(low.weight)
            if weights not in seen:
                seen[weights] = _diagnostics(drawn, low, problem.rows_per_user)
            found = seen[weights]
            if (weights, covers) not in verdicts:
                verdicts[weights, covers] = _verdicts(name, covers, found)
            limit = np.array([d.tail_nonzero if covers else np.inf for d in found])
            value, lower, upper = _interval(drawn, low, limit, level)
            if estimator.high is not low:
                _, _, upper = _interval(drawn, estimator.high, limit, level)
            one = Outcome(value, lower, upper, *verdicts[weights, covers], found)
            parts.setdefault(name, []).append(one)
    return {name: _joined(of) for name, of in parts.items()}


def _verdicts(
    name: str, covers: bool, found: tuple[Diagnostics, ...]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    def certified(d: Diagnostics) -> bool:
        return certify(name, covers, (d,), Thresholds()).certified

    known = np.array([certified(d) for d in found])
    without = known.copy()
    for i in np.flatnonzero(~known):
        d = found[i]
        # What the propensities of candidates say can only refuse.
        if d.expected_sample_size is not None:
            without[i] = certified(_without_candidates(d))
    return known, without


def _without_candidates(d: Diagnostics) -> Diagnostics:
    return replace(d, expected_sample_size=None, unsupported_mass=None)


def _interval(
    drawn: NDArray[np.int64], sums: Sums, limit: Floats, level: float
) -> tuple[Floats, Floats, Floats]:
    total = (drawn * sums.denominator).sum(1)
    safe = np.where(total != 0, total, np.nan)
    value = (drawn * sums.numerator).sum(1) / safe
    influence = (sums.numerator - value[:, None] * sums.denominator) / safe[:, None]
    largest = np.where(drawn > 0, np.abs(influence), 0.0).max(1)
    scale = np.where(largest > 0, largest, 1.0)
    x = influence / scale[:, None]
    square = x * x * drawn
    m = Moments(
        groups=drawn.sum(1),
        scale=scale,
        second=square.sum(1),
        third=(square * x).sum(1),
        fourth=(square * x * x).sum(1),
    )
    freedom = degrees_of_freedom(m, limit)
    return value, *ends_of(value, m.standard_error, freedom, m.skewness, (1 + level) / 2)


def _diagnostics(
    drawn: NDArray[np.int64], sums: Sums, rows_per_user: int
) -> tuple[Diagnostics, ...]:
    users = drawn.sum(1)
    rows = users * rows_per_user
    total, square = (drawn * sums.weight).sum(1), (drawn * sums.square).sum(1)
    by_user = drawn * sums.weight**2
    user_square = by_user.sum(1)
    fourth = (by_user * sums.weight**2).sum(1)
    mean = total / rows
    residual = (drawn * (sums.weight - mean[:, None] * rows_per_user) ** 2).sum(1)
    error = np.sqrt(users / (users - 1) * residual) / rows
    top = np.where(drawn > 0, sums.largest, 0.0).max(1)
    clicked, hit = (drawn * sums.nonzero).sum(1), (drawn * sums.matched).sum(1)
    expected = (drawn * sums.expected).sum(1)

    def over(a: Floats, b: Floats, otherwise: float) -> Floats:
        return np.divide(a, b, out=np.full(len(drawn), otherwise), where=b != 0)

    columns: dict[str, list[Any]] = {
        "rows": rows.tolist(),
        "users": users.tolist(),
        "effective_sample_size": over(total**2, square, 0.0).tolist(),
        "effective_users": over(total**2, user_square, 0.0).tolist(),
        "largest_weight": top.tolist(),
        "largest_weight_share": over(top, total, 1.0).tolist(),
        "mean_weight": mean.tolist(),
        "mean_weight_standard_error": error.tolist(),
        "nonzero": clicked.astype(int).tolist(),
        "matched": hit.astype(int).tolist(),
        "tail_users": over(user_square**2, fourth, 0.0).tolist(),
        "expected_sample_size": [
            expected_sample_size(n, e)
            for n, e in zip(rows.tolist(), expected.tolist(), strict=True)
        ],
    }
    return tuple(
        Diagnostics(
            policy="target",
            objective="click",
            unsupported_mass=0.0 if values["expected_sample_size"] is not None else None,
            **values,
        )
        for values in (
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        )
    )


def _joined(parts: list[Outcome]) -> Outcome:
    first, *rest = parts
    if not rest:
        return first
    names = ("value", "lower", "upper", "certified", "without_candidates")
    return Outcome(
        **{n: np.concatenate([getattr(p, n) for p in parts]) for n in names},
        diagnostics=tuple(d for p in parts for d in p.diagnostics),
    )
