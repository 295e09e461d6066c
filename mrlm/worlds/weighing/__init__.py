"""Worlds in which the weights of objectives are learned, with exact truth.

A north star weighs several objectives, noisily and differently from night to night. What learns
the weights reads logs of decisions and is judged by the true value of its policy, between that of
equal weights (regret 1) and of the best weights in hindsight (regret 0).
"""

from mrlm.worlds.weighing.best_weights import best_weights, sharpest_weights
from mrlm.worlds.weighing.late_north_star import LateNorthStar, late_north_star
from mrlm.worlds.weighing.north_star_path import NorthStarPath, changing, constant
from mrlm.worlds.weighing.segmented_world import SegmentedWorld, segmented
from mrlm.worlds.weighing.weighing_world import (
    WeighingLog,
    WeighingWorld,
    drawn_weighing,
    softmax_with_floor,
)

__all__ = [
    "LateNorthStar",
    "NorthStarPath",
    "SegmentedWorld",
    "WeighingLog",
    "WeighingWorld",
    "best_weights",
    "changing",
    "constant",
    "drawn_weighing",
    "late_north_star",
    "segmented",
    "sharpest_weights",
    "softmax_with_floor",
]
