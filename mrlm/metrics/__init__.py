"""Ranking, calibration, exposure and diversity."""

from mrlm.metrics.exposure import category_entropy, coverage, exposure, gini
from mrlm.metrics.ranking import auc
from mrlm.metrics.reliability import Reliability, calibration_error, log_loss, reliability

__all__ = [
    "Reliability",
    "auc",
    "calibration_error",
    "category_entropy",
    "coverage",
    "exposure",
    "gini",
    "log_loss",
    "reliability",
]
