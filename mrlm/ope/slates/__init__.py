"""Off-policy evaluation of slates: lists of items shown together."""

from mrlm.ope.slates.batch import SlateBatch
from mrlm.ope.slates.cascade_dr import CascadeDR
from mrlm.ope.slates.contract import SlateEstimator
from mrlm.ope.slates.iips import IIPS
from mrlm.ope.slates.pbm import PBM, expected_examination
from mrlm.ope.slates.pi import PI, PIControlVariates, fit_control_variates
from mrlm.ope.slates.registry import SLATE_ESTIMATORS
from mrlm.ope.slates.rips import RIPS
from mrlm.ope.slates.sips import SIPS
from mrlm.ope.slates.uniform_pi import UniformRankingPI

__all__ = [
    "IIPS",
    "PBM",
    "PI",
    "RIPS",
    "SIPS",
    "SLATE_ESTIMATORS",
    "CascadeDR",
    "PIControlVariates",
    "SlateBatch",
    "SlateEstimator",
    "UniformRankingPI",
    "expected_examination",
    "fit_control_variates",
]
