"""The sequential estimators by name; those with fitted tables are made by their fits."""

from __future__ import annotations

from mrlm.ope.sequential.contract import SequentialEstimator
from mrlm.ope.sequential.dr import SequentialDR
from mrlm.ope.sequential.fqe import FQE
from mrlm.ope.sequential.per_decision_is import PerDecisionIS
from mrlm.ope.sequential.trajectory_is import TrajectoryIS


def sequential_estimators(discount: float = 1.0) -> dict[str, SequentialEstimator]:
    """Every estimator without fitted tables, at one discount.

    Raises:
        ValueError: the discount is not in (0, 1].
    """
    every: tuple[SequentialEstimator, ...] = (
        TrajectoryIS(discount),
        TrajectoryIS(discount, self_normalised=True),
        PerDecisionIS(discount),
        PerDecisionIS(discount, self_normalised=True),
        SequentialDR(discount),
        SequentialDR(discount, self_normalised=True),
        FQE(discount),
    )
    return {e.name: e for e in every}


SEQUENTIAL_ESTIMATORS: dict[str, SequentialEstimator] = sequential_estimators()
