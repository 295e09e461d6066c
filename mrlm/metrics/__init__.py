"""Ranking, calibration, exposure and diversity."""

from mrlm.metrics.clustered import Clustered, clustered_mean
from mrlm.metrics.clustered_auc import auc_within, clustered_auc
from mrlm.metrics.exposure import category_entropy, coverage, exposure, gini
from mrlm.metrics.ranking import auc
from mrlm.metrics.reliability import Reliability, calibration_error, log_loss, reliability

__all__ = [
    "Clustered",
    "Reliability",
    "auc",
    "auc_within",
    "calibration_error",
    "category_entropy",
    "clustered_auc",
    "clustered_mean",
    "coverage",
    "exposure",
    "gini",
    "log_loss",
    "reliability",
]
