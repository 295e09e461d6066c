"""Ranking, calibration, exposure and diversity."""

from mrlm.metrics.clustered_auc import ClusteredAuc, auc_within, clustered_auc
from mrlm.metrics.exposure import category_entropy, coverage, exposure, gini
from mrlm.metrics.ranking import auc
from mrlm.metrics.reliability import Reliability, calibration_error, log_loss, reliability

__all__ = [
    "ClusteredAuc",
    "Reliability",
    "auc",
    "auc_within",
    "calibration_error",
    "category_entropy",
    "clustered_auc",
    "coverage",
    "exposure",
    "gini",
    "log_loss",
    "reliability",
]
