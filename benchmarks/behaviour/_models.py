"""The reward model, what was taken away from it, and boosted trees, each as predictions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.learners._field import TREES, fitted_peer, sample_of
from benchmarks.learners._world import settings
from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.histories import UNNAMED
from mrlm.bandit_log.objectives import north_star
from mrlm.behaviour.features import shown_only
from mrlm.behaviour.fit import fit_reward_model

Floats = NDArray[np.float64]
PAIR, ONE_REWARD, NO_TEXT = "pair", "pair, one reward and 50 entries", "pair, without text"
# What the histories held before they held the rewards of every objective.
_ENTRIES = 50


def one_reward(log: BanditLog) -> BanditLog:
    """The log with a history of the first objective alone, at most 50 entries."""
    decisions = log.decisions
    histories = replace(
        decisions.histories,
        objectives=(UNNAMED,),
        rewards=decisions.histories.rewards[:, :1],
    )
    seen = decisions.looked_back_on()
    kept = np.minimum(seen.lengths, _ENTRIES)
    # The place of the oldest entry that is kept; a decision without any keeps its empty range.
    first = np.minimum(seen.offsets[1:] - kept, max(len(seen.values) - 1, 0))
    since = np.where(kept > 0, seen.values[first], decisions.since)
    return replace(log, decisions=replace(decisions, histories=histories, since=since))


def without_text(log: BanditLog) -> BanditLog:
    """The log with a catalogue whose items all have the same embedding: none."""
    catalog = log.decisions.catalog
    assert catalog.embedding is not None
    nothing = catalog.with_embedding(np.zeros_like(catalog.embedding))
    return replace(log, decisions=replace(log.decisions, catalog=nothing))


def predictions(fit: BanditLog, later: BanditLog, trees: dict[str, str]) -> dict[str, Floats]:
    """Predicted north star of what was shown later, by model; of the trees only the order counts.

    Args:
        fit: decisions to learn from.
        later: decisions to predict.
        trees: the trees' settings, by the peers' name for them.
    """
    logs = {
        PAIR: (fit, later),
        ONE_REWARD: (one_reward(fit), one_reward(later)),
        NO_TEXT: (without_text(fit), without_text(later)),
    }
    found = {name: _predicted(*pair) for name, pair in logs.items()}
    sample = sample_of(fit)
    shown = shown_only(later)
    features, _ = sample.reward_model.encode(shown)
    found[TREES] = fitted_peer(TREES, fit, sample, trees)(shown, features)
    return found


def _predicted(fit: BanditLog, later: BanditLog) -> Floats:
    of, star = settings(), north_star(fit.objectives).name
    model = fit_reward_model(fit, of.behaviour, of.seed)
    predicted: Floats = model.score(shown_only(later))[:, model.heads.index(star)]
    return predicted
