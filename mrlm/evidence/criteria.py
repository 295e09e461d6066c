"""What every estimate of a challenger is made and certified by."""

from __future__ import annotations

from dataclasses import dataclass

from mrlm.ope.verdict.certify import Thresholds


@dataclass(frozen=True)
class Criteria:
    """How the evidence of one night estimates, whatever it estimates.

    Attributes:
        north_star: name of the objective that decides.
        estimator: name in ``mrlm.ope.registry.ESTIMATORS``; its paired difference is judged.
        level: two-sided level of intervals, in (0, 1).
        thresholds: what an interval needs before it is certified.
        no_hidden_confounding: whether it is known that the logger looked at nothing that the log
            lacks; what rests on estimated propensities is certified only then.
        by_precision: whether, where several policies made the rows, differences weigh the rows of
            each by their precision (``divergence_weighted``); else all rows count alike.
    """

    north_star: str
    estimator: str
    level: float
    thresholds: Thresholds
    no_hidden_confounding: bool
    by_precision: bool = False
