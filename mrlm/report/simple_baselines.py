"""Whether the challenger beats the simplest policies that the log allows."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mrlm.evidence.evidence import Evidence
from mrlm.messages.message import Message, Name
from mrlm.report.figures_as_text import interval


def baseline_line(evidence: Evidence) -> str:
    """Whether the challenger is shown to beat every simple baseline, in words; "" without one.

    It is where the lower bound of each paired difference is above 0, at the level of the interval.
    All have to hold, an intersection-union test (Berger, Technometrics 1982), so no level is
    corrected. Else the baseline with the smallest lower bound is named; one whose interval is not
    certified has no bound, and is named where no other is in the way.
    """
    bounds = {name: _bound(evidence, name) for name in evidence.baseline_differences}
    if not bounds:
        return ""
    standing = {name: bound for name, bound in bounds.items() if not 0.0 < bound < math.inf}
    if not standing:
        return Message("it beats every simple baseline")
    rival = min(standing, key=lambda name: standing[name])
    told = interval(evidence.baseline_difference(rival), signed=True)
    return Message(
        "not shown to beat {baseline}: difference {difference}",
        baseline=as_words(rival),
        difference=told,
    )


def baselines_by_value(evidence: Evidence, estimator: str) -> list[str]:
    """Names of the simple baselines, the one with the highest estimated north star first."""

    def value(name: str) -> float:
        found = evidence.estimate(name, estimator, evidence.north_star)
        return -math.inf if found is None or found.value is None else found.value

    return sorted(evidence.baseline_differences, key=lambda name: (-value(name), name))


def best_baseline(evidence: Evidence, truth: Mapping[str, float], estimator: str) -> str | None:
    """The best simple baseline: by its true value where that is known, else as estimated.

    By the truth it is the one that only hindsight could have chosen. None without a baseline.
    """
    names = baselines_by_value(evidence, estimator)
    known = [name for name in names if name in truth]
    return max(known, key=lambda name: truth[name]) if known else next(iter(names), None)


def as_words(name: str) -> str:
    """A baseline's name as people write it."""
    return Name(name.replace("_", " "))


def _bound(evidence: Evidence, name: str) -> float:
    """The lower bound of challenger - baseline; infinite where there is none."""
    found = evidence.baseline_difference(name)
    if found is None or not found.certified or found.lower is None:
        return math.inf
    return found.lower
