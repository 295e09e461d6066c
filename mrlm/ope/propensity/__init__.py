"""Propensities that were not logged: estimates, their calibration, bounds under confounding."""

from mrlm.ope.propensity.calibrate import CalibrationBin, calibration_table
from mrlm.ope.propensity.complete import CompletedLog, complete
from mrlm.ope.propensity.estimated import EstimatedPropensities, estimate_propensities
from mrlm.ope.propensity.flag import flagged, flagged_state
from mrlm.ope.propensity.logit import ConditionalLogit, fit_logit
from mrlm.ope.propensity.sensitivity import SensitivityBound, sensitivity_bounds

__all__ = [
    "CalibrationBin",
    "CompletedLog",
    "ConditionalLogit",
    "EstimatedPropensities",
    "SensitivityBound",
    "calibration_table",
    "complete",
    "estimate_propensities",
    "fit_logit",
    "flagged",
    "flagged_state",
    "sensitivity_bounds",
]
