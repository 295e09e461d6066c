"""Off-policy evaluation of sessions: decisions in a row, of any number."""

from mrlm.ope.sequential.batch import SessionBatch
from mrlm.ope.sequential.contract import SequentialEstimator
from mrlm.ope.sequential.dr import SequentialDR
from mrlm.ope.sequential.fitted_q import cross_fitted_q, fit_q
from mrlm.ope.sequential.fqe import FQE
from mrlm.ope.sequential.per_decision_is import PerDecisionIS
from mrlm.ope.sequential.registry import SEQUENTIAL_ESTIMATORS, sequential_estimators
from mrlm.ope.sequential.state_marginal import StateMarginalIS, fit_state_marginal
from mrlm.ope.sequential.trajectory_is import TrajectoryIS

__all__ = [
    "FQE",
    "SEQUENTIAL_ESTIMATORS",
    "PerDecisionIS",
    "SequentialDR",
    "SequentialEstimator",
    "SessionBatch",
    "StateMarginalIS",
    "TrajectoryIS",
    "cross_fitted_q",
    "fit_q",
    "fit_state_marginal",
    "sequential_estimators",
]
