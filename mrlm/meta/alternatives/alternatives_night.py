"""One night's trials: what predicts better than the typed settings, and what the next night has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.objectives import north_star
from mrlm.bandit_log.users import group
from mrlm.behaviour.contract import BehaviourModel
from mrlm.behaviour.features.pair_features import shown_only
from mrlm.behaviour.settings import BehaviourSettings
from mrlm.meta.alternatives.alternatives_record import AlternativesRecord, TriedNight
from mrlm.meta.alternatives.due_alternatives import (
    changes_of_night,
    due_alternatives,
    typed_values,
    was_better,
)
from mrlm.meta.hyperparameters.conservative_choice import shown_better, still_better
from mrlm.meta.hyperparameters.hyperparameter_record import Trial
from mrlm.metrics.clustered import clustered_mean
from mrlm.metrics.reliability import log_losses

Fit = Callable[[BehaviourSettings], BehaviourModel]
# Of a predicted probability: a model that is sure and wrong has a finite loss.
_LEAST = 1e-6


def record_of_trials(
    past: AlternativesRecord,
    settings: BehaviourSettings,
    serving: BehaviourModel,
    fit: Fit,
    later: BanditLog,
    night: str,
) -> AlternativesRecord:
    """The record with tonight's trials; the same arguments give the same bits.

    Prequential (Dawid, JRSS A 1984): models of the fit nights predict the shown items of nights
    after them. The typed settings hold unless an alternative predicts the north star better, at
    ``settings.alternative_confidence`` for all that are tried together, clustered by user, and did
    so at its trial before too: the error of one trial knows nothing of the luck of its fits. What
    took over stays as long as it does not predict worse.

    Args:
        past: of the nights before.
        settings: as they are typed.
        serving: tonight's model, fitted with what ``past`` left.
        fit: a model of the same rows with other settings.
        later: decisions of the tune nights.
        night: the newest of them, ISO date.

    Returns:
        ``past`` with a night that tried nothing, where fewer than two users have a final reward.
    """
    own, typed = changes_of_night(past, settings), typed_values(settings)
    due = due_alternatives(past, settings)
    kept = _known(later)
    users = group(later.decisions.user[kept])[1]
    if (not due and not own) or len(np.unique(users)) < 2:
        return past.after(TriedNight(night, typed, (), own))
    scored = later.where(kept)
    losses = prediction_losses(serving if not own else fit(settings.with_changes({})), scored)

    def trial(changes: dict[str, Any], model: BehaviourModel) -> Trial:
        gain = clustered_mean(losses - prediction_losses(model, scored), users)
        return Trial(changes, gain.value, gain.standard_error, 1)

    still = trial(own, serving) if own else None
    trials = [trial(a, fit(settings.with_changes(a))) for a in due]
    trials += [] if still is None else [still]
    again = [t for t in trials if was_better(past, settings, t.setting, night)]
    typed_trial = Trial({}, 0.0, 0.0, 1)
    better = shown_better([typed_trial, *again], 1, settings.alternative_confidence)
    chosen = better or still_better(still)
    return past.after(TriedNight(night, typed, tuple(trials), chosen.setting if chosen else {}))


def _known(log: BanditLog) -> NDArray[np.bool_]:
    """Decisions whose north star is final and known."""
    star = log.column(north_star(log.objectives).name)
    return log.final[:, star] & np.isfinite(log.rewards[:, star])


def prediction_losses(model: BehaviourModel, log: BanditLog) -> NDArray[np.float64]:
    """What a model's prediction of the north star missed, of each shown item, shape (n,).

    Log loss in nats of a head that predicts a probability, of others the squared error as a share
    of the rewards' variance.

    Args:
        model: with a head for the north star.
        log: n decisions whose north star is known.
    """
    name = north_star(log.objectives).name
    reward = log.rewards[:, log.column(name)]
    place = model.heads.index(name)
    predicted = model.score(shown_only(log))[:, place]
    if model.binary[place] and np.isin(reward, (0.0, 1.0)).all():
        return log_losses(reward, predicted, _LEAST)
    return (reward - predicted) ** 2 / max(float(reward.var()), np.finfo(np.float64).tiny)
