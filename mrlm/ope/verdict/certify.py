"""Certification: whether an interval may be believed, why not, and what it would take."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mrlm.messages.message import Joined, Message, Name
from mrlm.ope.verdict.diagnostics import Diagnostics

# Sums of weights that are all 1 miss their number by so much.
_ROUNDING = 1e-9
# More rounds than this are no plan.
_MOST_ROWS = 1e15


@dataclass(frozen=True)
class Thresholds:
    """What an interval needs before it is certified; ``benchmarks/ope/grid.py`` tries the defaults.

    The thresholds on weights are set where the grid's intervals cover. The one on rewards is low on
    purpose: certified logs of a world with fewer would be the lucky ones, and an interval that may
    be read only after luck must reach down to 0. At 5 rewards Student's t interval does
    (``t^2 > 5`` at 5 degrees of freedom), at 6 no more.

    Attributes:
        min_effective_sample_size: of the rounds' weights.
        max_weight_share: largest share that one round may have of all weights.
        min_users: effective number of independent users.
        min_nonzero: rounds that carry both weight and a reward other than 0, weighted
            (``Diagnostics.effective_nonzero``).
        mean_weight_z: the mean weight may differ from 1 by this many of its standard errors.
        mean_weight_low_z: and lie below 1 by this many of them where it also lies below 1 by
        mean_weight_reach: this many of the standard errors that it has at the least effective
            sample size. A log in which the heavy weights are missing shows a mean weight that is
            low and seems exact.
        max_unsupported_mass: target probability on candidates the logger never shows.

    Examples:
        >>> from mrlm import Thresholds
        >>> Thresholds(min_users=100).min_effective_sample_size
        150.0
    """

    min_effective_sample_size: float = 150.0
    max_weight_share: float = 0.1
    min_users: float = 30.0
    min_nonzero: float = 5.0
    mean_weight_z: float = 4.0
    mean_weight_low_z: float = 2.0
    mean_weight_reach: float = 1.0
    max_unsupported_mass: float = 1e-3


@dataclass(frozen=True)
class Certificate:
    """The verdict on an interval.

    Attributes:
        certified: whether the interval covers the policy's true value at its level.
        reasons: why not, in plain sentences; empty when certified.
        rows_needed: rounds at which the unmet thresholds would be met, by linear extrapolation;
            None when certified, where more rounds of the same log would not help, and where it
            would take more than 1e15.
    """

    certified: bool
    reasons: tuple[str, ...] = ()
    rows_needed: int | None = None

    @property
    def reason(self) -> str | None:
        """All reasons in one line, or None when certified."""
        return "; ".join(self.reasons) or None


def certify(
    estimator: str,
    covers_policy_value: bool,
    found: Sequence[Diagnostics],
    thresholds: Thresholds,
    finite_sample: bool = False,
    numbers: Mapping[str, float] | None = None,
) -> Certificate:
    """Verdict on the interval of one objective, from the diagnostics of all policies in it.

    Args:
        estimator: name, for the reason.
        covers_policy_value: see ``Scores``.
        found: diagnostics of every policy in the estimate.
        thresholds: what is needed.
        finite_sample: the interval's level holds at every sample size, so that true propensities
            and support are all it needs.
        numbers: value, standard error and ends of the estimate, by name; all must be finite.
    """
    if not covers_policy_value:
        reason = Message(
            "{estimator} covers its own target, not the policy's value: its bias has no bound",
            estimator=estimator,
        )
        return Certificate(False, (reason,))
    reasons: list[Message] = []
    factor, hopeless = 1.0, False
    for d in found:
        if d.rows == 0 or d.mean_weight == 0:
            hopeless = True
            reasons.append(
                Message(
                    "{policy}: no row has a known {objective}",
                    policy=Name(d.policy),
                    objective=d.objective,
                )
                if d.rows == 0
                else Message("{policy}: every importance weight is 0", policy=Name(d.policy))
            )
            continue
        if not (math.isfinite(d.mean_weight) and math.isfinite(d.largest_weight)):
            hopeless = True
            reasons.append(
                Message(
                    "{policy}: the importance weights or their sum are not finite",
                    policy=Name(d.policy),
                )
            )
            continue
        lacking = [*_unsupported(d, thresholds), *_wrong_mean(d, thresholds)]
        hopeless |= bool(lacking)
        shortfalls = [] if finite_sample else _shortfalls(d, thresholds)
        factor = max([factor, *(f for _, f in shortfalls)])
        reasons += [
            Message("{policy}: {why}", policy=Name(d.policy), why=why)
            for why in [*lacking, *(why for why, _ in shortfalls)]
        ]
    if not reasons:
        # Every comparison with NaN is False, so no threshold above would refuse it.
        unknown = [name for name, x in (numbers or {}).items() if not math.isfinite(x)]
        if not unknown:
            return Certificate(True)
        hopeless = True
        reasons.append(
            Message(
                "{numbers} of {objective} not finite: the log does not determine the estimate, or "
                "its scores are too large for floating point",
                numbers=Joined(", ", unknown),
                objective=found[0].objective,
            )
        )
    rows = found[0].rows * factor
    needed = None if hopeless or not rows <= _MOST_ROWS else math.ceil(rows)
    return Certificate(False, tuple(reasons), needed)


def overlaps(d: Diagnostics, thresholds: Thresholds) -> bool:
    """Whether a log tells enough of a policy: what ``certify`` asks of its weights and support.

    Not whether its propensities are true, which the mean weight speaks of.

    Args:
        d: diagnostics of the policy.
        thresholds: what is needed.
    """
    if not (d.rows and d.matched and math.isfinite(d.mean_weight)):
        return False
    return not (_unsupported(d, thresholds) or _shortfalls(d, thresholds))


def _unsupported(d: Diagnostics, t: Thresholds) -> list[Message]:
    """Probability that no round of the same log would ever tell of."""
    if d.unsupported_mass is None or d.unsupported_mass <= t.max_unsupported_mass:
        return []
    return [
        Message(
            "{mass:.1%} of its probability is on candidates the logger never shows (at most "
            "{most:.1%})",
            mass=d.unsupported_mass,
            most=t.max_unsupported_mass,
        )
    ]


def _wrong_mean(d: Diagnostics, t: Thresholds) -> list[Message]:
    """A mean weight that is not 1, which more rounds would not mend."""
    error = d.mean_weight_standard_error
    unknown = d.users > 1 and not math.isfinite(error)
    # Of a single user nothing is known of the error, and nothing compares with it.
    if not (unknown or abs(d.mean_weight - 1) > t.mean_weight_z * error + _ROUNDING):
        return []
    return [
        Message(
            "the mean importance weight is {mean:.3f} with standard error {error:.3f}, not 1: "
            "the propensities are wrong or the logger does not support the policy",
            mean=d.mean_weight,
            error=error,
        )
    ]


def _shortfalls(d: Diagnostics, t: Thresholds) -> list[tuple[Message, float]]:
    """Unmet thresholds, each with the factor on the number of rounds that would meet it."""
    found = []
    # With the mean weight known to be 1, n^2 / sum w^2 is the same quantity; where the log happened
    # to match often it is the smaller one, so that luck of neither kind certifies.
    effective = d.effective_sample_size / max(1.0, d.mean_weight) / max(1.0, d.mean_weight)
    what = Message("effective sample size")
    if d.expected_sample_size is not None and d.expected_sample_size < effective:
        # The propensities say what the log should look like: a lucky one shows no heavy weight.
        effective, what = (
            d.expected_sample_size,
            Message("effective sample size expected of the propensities"),
        )
    if not effective >= t.min_effective_sample_size:
        found.append(
            (
                Message(
                    "{what} {effective:.0f} of {rows} rows (at least {least:.0f})",
                    what=what,
                    effective=effective,
                    rows=d.rows,
                    least=t.min_effective_sample_size,
                ),
                _factor(t.min_effective_sample_size, effective),
            )
        )
    if not d.largest_weight_share <= t.max_weight_share:
        found.append(
            (
                Message(
                    "one row has {share:.0%} of all weight (at most {most:.0%})",
                    share=d.largest_weight_share,
                    most=t.max_weight_share,
                ),
                d.largest_weight_share / t.max_weight_share,
            )
        )
    if not d.effective_users >= t.min_users:
        found.append(
            (
                Message(
                    "effective number of users {effective:.0f} of {users} (at least {least:.0f})",
                    effective=d.effective_users,
                    users=d.users,
                    least=t.min_users,
                ),
                _factor(t.min_users, d.effective_users),
            )
        )
    if not d.effective_nonzero >= t.min_nonzero:
        found.append(
            (
                Message(
                    "{effective:.1f} effective rows with weight and a {objective} other than 0 "
                    "(at least {least:g}; {unweighted} unweighted)",
                    effective=d.effective_nonzero,
                    objective=d.objective,
                    least=t.min_nonzero,
                    unweighted=d.nonzero,
                ),
                t.min_nonzero / max(d.effective_nonzero, 1.0),
            )
        )
    gap = 1 - d.mean_weight
    if found or gap <= 0:
        return found
    reach = _reach(d, t)
    if gap > reach + _ROUNDING:
        found.append(
            (
                Message(
                    "the mean importance weight is {mean:.3f}, below 1 by more than {reach:.3f}: "
                    "the heavy weights may be missing from the log",
                    mean=d.mean_weight,
                    reach=reach,
                ),
                (gap / reach) ** 2 if reach > 0 else 1.0,
            )
        )
    return found


def _factor(needed: float, have: float) -> float:
    return needed / have if have > 0 else math.inf


def _reach(d: Diagnostics, t: Thresholds) -> float:
    """How far the mean weight may be below 1.

    A weight of mean 1 has the variance n / ESS - 1, here with the least ESS that is accepted; users
    who return add their design effect.
    """
    least = max(1 / t.min_effective_sample_size - 1 / d.rows, 0.0)
    alone = (1 / d.effective_sample_size - 1 / d.rows) * d.mean_weight**2
    design = max(d.mean_weight_standard_error**2 / alone, 1.0) if alone > _ROUNDING else 1.0
    own = t.mean_weight_low_z * d.mean_weight_standard_error
    return max(t.mean_weight_reach * math.sqrt(design * least), own)
