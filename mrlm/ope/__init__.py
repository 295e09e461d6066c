"""Off-policy evaluation: estimators, mergeable state, intervals with a verdict."""

from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.certify import Certificate, Thresholds
from mrlm.ope.contract import Estimator, Properties
from mrlm.ope.diagnostics import Diagnostics, diagnostics
from mrlm.ope.difference import difference
from mrlm.ope.intervals import (
    INTERVALS,
    Estimate,
    Interval,
    ScoreRange,
    bound,
    covariance,
    estimates,
    simultaneous,
)
from mrlm.ope.registry import ESTIMATORS
from mrlm.ope.scores import Scores
from mrlm.ope.selected import Selected, select
from mrlm.ope.spending import error_at
from mrlm.ope.state import EvaluationState

__all__ = [
    "ESTIMATORS",
    "INTERVALS",
    "Certificate",
    "Diagnostics",
    "Estimate",
    "Estimator",
    "EvaluationBatch",
    "EvaluationState",
    "Interval",
    "Properties",
    "ScoreRange",
    "Scores",
    "Selected",
    "Thresholds",
    "bound",
    "covariance",
    "diagnostics",
    "difference",
    "error_at",
    "estimates",
    "select",
    "simultaneous",
]
