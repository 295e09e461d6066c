"""With what probability the logger takes each candidate: logged, or estimated where it was not."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.ragged import segment_log_softmax, segment_sum
from mrlm.behaviour.networks.network import evaluate
from mrlm.learners.network import make_score_network
from mrlm.learners.sequential.experience import Experience
from mrlm.learners.settings import LearningSettings
from mrlm.learners.training_loop import train_by_batches

# How far the propensities of a set may be from 1 and still be all of them.
_SUM = 1e-3


def logger_log_probabilities(
    log: BanditLog, seen: Experience, settings: LearningSettings, seed: int
) -> NDArray[np.float64]:
    """Log probability of every candidate, float64, shape (N,), -inf where the logger never goes.

    Decisions that did not log all their candidates' propensities have those of a softmax that was
    fitted to what was shown (behaviour cloning). A uniform guess there would call every candidate
    supported.
    """
    offsets, p = log.decisions.offsets, log.candidate_propensity
    logged = np.abs(segment_sum(p, offsets) - 1.0) < _SUM
    of_candidate = np.repeat(logged, np.diff(offsets))
    with np.errstate(divide="ignore"):
        known = np.log(np.where(of_candidate, p, 1.0))
    return known if logged.all() else np.where(of_candidate, known, _cloned(seen, settings, seed))


def _cloned(seen: Experience, settings: LearningSettings, seed: int) -> NDArray[np.float64]:
    network = make_score_network(seen.features, settings, seed, gain=0.0)

    def loss(index: torch.Tensor) -> torch.Tensor:
        scores = seen.sets.scores(network, *seen.sets.places(index))
        return torch.nn.functional.cross_entropy(scores, seen.action[index])

    train_by_batches(network, len(seen), lambda: loss, settings, seed, last_step=0.0)
    return segment_log_softmax(evaluate(network, seen.features, 1)[:, 0], seen.offsets)
