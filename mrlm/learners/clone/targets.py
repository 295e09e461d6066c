"""What a log says of the logger's probabilities, row by row, as a loss and as a divergence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.ragged import gather, segment_sum

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Targets:
    """n decisions with N candidates in all.

    Attributes:
        offsets: int64, shape (n + 1,).
        shown: int64, shape (n,), flat place of the shown item.
        probability: float64, shape (N,): the logger's where a row has those of all candidates,
            else 1 for the shown item and 0 for the others.
        propensity: float64, shape (n,), of the shown item where the row has it and not the others';
            NaN elsewhere.
        whole: bool, shape (n,), whether the row has the probabilities of all candidates.
    """

    offsets: NDArray[np.int64]
    shown: NDArray[np.int64]
    probability: Floats
    propensity: Floats
    whole: NDArray[np.bool_]

    def take(self, index: NDArray[np.int64]) -> Targets:
        """The rows at ``index``, in that order."""
        flat, offsets = gather(self.offsets, index)
        return Targets(
            offsets=offsets,
            shown=offsets[:-1] + (self.shown - self.offsets[:-1])[index],
            probability=self.probability[flat],
            propensity=self.propensity[index],
            whole=self.whole[index],
        )

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether the row tells any probability, bool, shape (n,)."""
        return self.whole | np.isfinite(self.propensity)


def targets_of(log: BanditLog) -> Targets:
    """All that each row of the log tells of its logger."""
    offsets, shown = log.decisions.offsets, log.shown
    logged = log.candidate_propensity
    whole = np.logical_and.reduceat(np.isfinite(logged), offsets[:-1])
    of_candidate = np.repeat(whole, np.diff(offsets))
    seen = np.zeros(len(logged))
    seen[shown] = 1.0
    return Targets(
        offsets=offsets,
        shown=shown,
        probability=np.where(of_candidate, logged, seen),
        propensity=np.where(whole, np.nan, log.propensity),
        whole=whole,
    )


def log_loss(targets: Targets, log_probability: Floats) -> Floats:
    """Cross-entropy of each row to what it tells of the logger, nats, shape (n,)."""
    # 0 log 0 = 0: a policy may give 0 to what the logger never shows.
    told = targets.probability > 0
    terms = np.zeros(len(told))
    terms[told] = -targets.probability[told] * log_probability[told]
    return segment_sum(terms, targets.offsets)


def divergence(targets: Targets, log_probability: Floats) -> Floats:
    """Kullback-Leibler divergence of a policy from the logger, nats, shape (n,); NaN if unknown.

    Exact where all candidates' probabilities are logged. With the shown item's alone, r - 1 -
    log r, where r is the policy's probability over the logger's: its expectation over what the
    logger shows is the divergence (as r has mean 1), and its variance is small where the two are
    close (Schulman, Approximating KL divergence, 2020).
    """
    own = np.where(targets.probability > 0, targets.probability, 1.0)
    entropy = segment_sum(-targets.probability * np.log(own), targets.offsets)
    out = np.where(targets.whole, log_loss(targets, log_probability) - entropy, np.nan)
    alone = np.isfinite(targets.propensity)
    log_ratio = log_probability[targets.shown[alone]] - np.log(targets.propensity[alone])
    out[alone] = np.expm1(log_ratio) - log_ratio
    return out
