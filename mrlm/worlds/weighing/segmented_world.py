"""Segments of the traffic that want different things, in part for reasons that are known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrlm.worlds.weighing.north_star_path import NorthStarPath
from mrlm.worlds.weighing.weighing_world import Floats, WeighingLog, WeighingWorld, drawn_weighing


@dataclass(frozen=True)
class SegmentedWorld:
    """Each user belongs to one of S segments, whose north star weighs the objectives in its way.

    Attributes:
        common: the world of all, whose path is the mean over segments.
        weights: float64, shape (S, m), true weights of each segment; some may be below 0.
        features: float64, shape (S, p), what is known of each segment, standard normal.
        traffic: float64, shape (S,), shares of users; 0 for a segment that nobody has come to yet.
    """

    common: WeighingWorld
    weights: Floats
    features: Floats
    traffic: Floats

    def of(self, segment: int) -> WeighingWorld:
        """The world of one segment."""
        return replace(self.common, path=NorthStarPath(self.weights[segment][None, :]))

    def log(
        self, n: int, policy: Floats | None, rng: np.random.Generator
    ) -> tuple[WeighingLog, NDArray[np.int64]]:
        """About n decisions, and the segment of each; see ``WeighingWorld.log``."""
        each = self.common.decisions_a_user
        users = rng.multinomial(n // each, self.traffic)
        logs = [
            self.of(s).log(int(u) * each, policy, 0, rng) if u else None
            for s, u in enumerate(users)
        ]
        found = [log for log in logs if log is not None]
        rows = np.cumsum([0, *(len(log.shown) for log in found)])
        k = self.common.candidates
        segment = np.repeat(np.arange(len(users)), users * each)
        return (
            WeighingLog(
                np.concatenate([log.pair for log in found]),
                np.concatenate([log.probability for log in found]),
                np.concatenate([log.shown + k * at for log, at in zip(found, rows, strict=False)]),
                np.concatenate([log.user + at for log, at in zip(found, rows, strict=False)]),
                np.concatenate([log.rewards for log in found]),
                np.concatenate([log.north_star for log in found]),
            ),
            segment,
        )


def segmented(
    objectives: int,
    noise: float,
    rng: np.random.Generator,
    *,
    size: float,
    apart: float,
    segments: int = 30,
    unseen: int = 10,
    features: int = 3,
    told: float = 0.75,
) -> SegmentedWorld:
    """A drawn world whose traffic falls by Zipf's law.

    Args:
        objectives: m.
        noise: standard deviation of the observed north star.
        rng: of everything drawn.
        size: length of the mean weights.
        apart: standard deviation of each weight over segments, as a share of ``size``.
        segments: that have traffic; the k-th has a share in proportion to 1 / k.
        unseen: segments more, without traffic.
        features: p.
        told: share of the variance over segments that their features tell.
    """
    mean = rng.dirichlet(np.ones(objectives))
    mean *= size / np.linalg.norm(mean)
    known = rng.standard_normal((segments + unseen, features))
    regression = rng.standard_normal((features, objectives)) / np.sqrt(features)
    own = rng.standard_normal((segments + unseen, objectives))
    around = np.sqrt(told) * known @ regression + np.sqrt(1 - told) * own
    share = np.append(1 / np.arange(1, segments + 1), np.zeros(unseen))
    common = drawn_weighing(NorthStarPath(mean[None, :]), noise, rng)
    return SegmentedWorld(common, mean + apart * size * around, known, share / share.sum())
