"""Off-policy evaluation: estimators, mergeable state, intervals with a verdict.

What a night's evaluation needs is imported at once; the rest of the names below, and the rooms
``embedded``, ``propensity``, ``sequential`` and ``slates``, when they are first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.choice.selected import Selected, select
from mrlm.ope.contract import Estimator, Properties
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
from mrlm.ope.nights.spending import error_at
from mrlm.ope.registry import ESTIMATORS, FAMILY
from mrlm.ope.scores import Scores, one_ratio
from mrlm.ope.state.state import EvaluationState
from mrlm.ope.verdict.certify import Certificate, Thresholds
from mrlm.ope.verdict.diagnostics import Diagnostics, diagnostics

if TYPE_CHECKING:
    from mrlm.ope import embedded, propensity, sequential, slates
    from mrlm.ope.choice.bounded import BoundedEstimate, bounded_estimates
    from mrlm.ope.choice.selection import slope
    from mrlm.ope.choice.shrinkage_bias import shrinkage_bounds
    from mrlm.ope.choice.tuning import sweep, tune
    from mrlm.ope.estimand import per_user, ratio_of_sums
    from mrlm.ope.intervals.stream import StreamState
    from mrlm.ope.logging_policy import logger_scores
    from mrlm.ope.nights import group_sequential, hindcast, tomorrow
    from mrlm.ope.nights.hindcast import Promotion, judge_promotion
    from mrlm.ope.nights.power import gain_for_rows, rows_for_gain
    from mrlm.ope.nights.tomorrow import Prediction, next_night
    from mrlm.ope.verdict.item_overlap import item_overlap
    from mrlm.ope.verdict.overlap import group_overlap

_ROOMS = {
    "embedded": "embedded",
    "group_sequential": "nights.group_sequential",
    "hindcast": "nights.hindcast",
    "propensity": "propensity",
    "sequential": "sequential",
    "slates": "slates",
    "tomorrow": "nights.tomorrow",
}
_LATER = {
    "BoundedEstimate": "choice.bounded",
    "Prediction": "nights.tomorrow",
    "Promotion": "nights.hindcast",
    "StreamState": "intervals.stream",
    "bounded_estimates": "choice.bounded",
    "gain_for_rows": "nights.power",
    "group_overlap": "verdict.overlap",
    "item_overlap": "verdict.item_overlap",
    "judge_promotion": "nights.hindcast",
    "logger_scores": "logging_policy",
    "next_night": "nights.tomorrow",
    "per_user": "estimand",
    "ratio_of_sums": "estimand",
    "rows_for_gain": "nights.power",
    "shrinkage_bounds": "choice.shrinkage_bias",
    "slope": "choice.selection",
    "sweep": "choice.tuning",
    "tune": "choice.tuning",
}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"{__name__}.{_ROOMS[name]}")
    if name in _LATER:
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "ESTIMATORS",
    "FAMILY",
    "INTERVALS",
    "BoundedEstimate",
    "Certificate",
    "Diagnostics",
    "Estimate",
    "Estimator",
    "EvaluationBatch",
    "EvaluationState",
    "Interval",
    "Prediction",
    "Promotion",
    "Properties",
    "ScoreRange",
    "Scores",
    "Selected",
    "StreamState",
    "Thresholds",
    "bound",
    "bounded_estimates",
    "covariance",
    "diagnostics",
    "difference",
    "embedded",
    "error_at",
    "estimates",
    "gain_for_rows",
    "group_overlap",
    "group_sequential",
    "hindcast",
    "item_overlap",
    "judge_promotion",
    "logger_scores",
    "next_night",
    "one_ratio",
    "per_user",
    "propensity",
    "ratio_of_sums",
    "rows_for_gain",
    "select",
    "sequential",
    "shrinkage_bounds",
    "simultaneous",
    "slates",
    "slope",
    "sweep",
    "tomorrow",
    "tune",
]
