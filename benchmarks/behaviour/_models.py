"""The behaviour models, what was taken away from one, and boosted trees, each as predictions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks._clock import Clock
from benchmarks._demonstration import settings
from benchmarks.learners._peers.field import TREES, field
from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.histories import UNNAMED
from mrlm.bandit_log.objectives import north_star
from mrlm.behaviour.contract import BehaviourModel
from mrlm.behaviour.features.pair_features import PairFeatures, shown_only
from mrlm.behaviour.fitting.fit import fit_reward_model

Floats = NDArray[np.float64]
PAIR, ONE_REWARD, NO_TEXT = "pair", "pair, one reward and 50 entries", "pair, without text"
HISTORY, HISTORY_TREES = "history", f"{TREES} on history's features"
SEQUENCE = "sequence"
Seconds = dict[str, dict[str, float]]
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


def predictions(
    fit: BanditLog, later: BanditLog, trees: dict[str, str]
) -> tuple[dict[str, Floats], Seconds]:
    """Predicted north star of what was shown later, by model; of the trees only the order counts.

    Args:
        fit: decisions to learn from.
        later: decisions to predict.
        trees: the trees' settings, by the peers' name for them.

    Returns:
        Predictions by model, and processor seconds of ``fit`` and ``score`` of each model.
    """
    found, seconds = {}, {}
    for name, as_trees in ((PAIR, TREES), (HISTORY, HISTORY_TREES), (SEQUENCE, None)):
        clock = Clock()
        model = _fitted(fit, name)
        clock.lap("fit")
        found[name] = _star(model, fit, later)
        clock.lap("score")
        seconds[name] = clock.seconds
        if as_trees is not None:
            found[as_trees] = _of_trees(model, fit, later, trees[TREES])
    for name, less in ((ONE_REWARD, one_reward), (NO_TEXT, without_text)):
        found[name] = _star(_fitted(less(fit), PAIR), fit, less(later))
    return found, seconds


def _fitted(fit: BanditLog, model: str) -> BehaviourModel:
    of = settings()
    return fit_reward_model(fit, of.behaviour.model_copy(update={"model": model}), of.seed)


def _star(model: BehaviourModel, fit: BanditLog, later: BanditLog) -> Floats:
    star = model.heads.index(north_star(fit.objectives).name)
    predicted: Floats = model.score(shown_only(later))[:, star]
    return predicted


def _of_trees(model: BehaviourModel, fit: BanditLog, later: BanditLog, chosen: str) -> Floats:
    """Trees on what a model gives its learners."""
    (peer,) = (p for p in field()[TREES].tried if p.name == chosen)
    # Of a row's own item they know what the member knows that never saw the row's user.
    read, _ = model.encode_cross_fitted(shown_only(fit))
    shown = shown_only(later)
    return peer.fit(fit, read)(shown, PairFeatures.of(model.encode(shown)[0]))
