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
        trial_share: share of what is served that a challenger under test chooses; 0: none.
    """

    north_star: str
    estimator: str
    level: float
    thresholds: Thresholds
    no_hidden_confounding: bool
    trial_share: float = 0.0

    @property
    def by_precision(self) -> bool:
        """Whether differences weigh each logger's rows by their precision, else all alike.

        A trial is there to tell more of the challenger than the nights before it did.
        """
        return self.trial_share > 0
