"""Intervals of the mean over decisions, users being the unit of independence."""

from mrlm.ope.intervals.contract import Interval
from mrlm.ope.intervals.estimate import Estimate, bound, estimates
from mrlm.ope.intervals.influence import covariance
from mrlm.ope.intervals.ratio import ScoreRange
from mrlm.ope.intervals.registry import INTERVALS
from mrlm.ope.intervals.simultaneous import simultaneous
from mrlm.ope.intervals.student import ends

__all__ = [
    "INTERVALS",
    "Estimate",
    "Interval",
    "ScoreRange",
    "bound",
    "covariance",
    "ends",
    "estimates",
    "simultaneous",
]
