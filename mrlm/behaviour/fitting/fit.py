"""Fit the reward model on the fit nights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.objectives import north_star
from mrlm.bandit_log.user_folds import crc, user_folds
from mrlm.behaviour.ensemble.calibration import fit_calibration
from mrlm.behaviour.ensemble.fold_model import FoldModel
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.features.pair_features import pair_features, shown_only
from mrlm.behaviour.features.space import fit_space
from mrlm.behaviour.features.statistics import fit_statistics, out_of_fold_statistics
from mrlm.behaviour.fitting.fit_posterior import with_posterior
from mrlm.behaviour.fitting.history_rows import HistoryRows
from mrlm.behaviour.fitting.selection_weights import selection_weights
from mrlm.behaviour.fitting.training import train_network
from mrlm.behaviour.fitting.training_curves import epoch_told
from mrlm.behaviour.language.language_rows import LanguageRows
from mrlm.behaviour.networks.network import evaluate
from mrlm.behaviour.settings import BehaviourSettings
from mrlm.metrics.curves import Curves


def fit_reward_model(
    log: BanditLog,
    settings: BehaviourSettings,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
    curves: Curves | None = None,
) -> RewardModel:
    """Fit one network a fold on the other folds' users, then calibrate on the users left out.

    At the end its uncertainty is fitted, see ``with_posterior``. Only final rewards are learned
    from. The same log, settings and seed give the same model.

    Args:
        log: decisions of the fit nights, with an embedded catalogue.
        settings: sizes and rates.
        seed: of weights, order of rows and dropout.
        progress: called with (epochs done, epochs in all).
        curves: takes the mean loss by epoch of each fold's network, on its rows and on the rows of
            the users that were left out.

    Raises:
        ValueError: the log is empty, has no embedding, a fold has no user, the north star has no
            final reward, or rows are to be weighed and one has no propensity.

    Examples:
        >>> from mrlm import BehaviourSettings, fit_reward_model, latent_log
        >>> log, _ = latent_log(n_users=100, decisions_per_user=6, n_candidates=4, seed=0)
        >>> small = BehaviourSettings(folds=2, components=4, hidden=8, projection=4, epochs=1)
        >>> model = fit_reward_model(log, small, seed=0)
        >>> model.heads
        ('like', 'rating')
        >>> model.columns
        ('like', 'rating', 'uncertainty')
        >>> model.score(log.decisions).shape
        (2400, 3)
    """
    heads = [j for j, o in enumerate(log.objectives) if o.source == "feedback"]
    star = north_star(log.objectives).name
    rewards = np.where(log.final[:, heads], log.rewards[:, heads], np.nan)
    names = tuple(log.objectives[j].name for j in heads)
    if not np.isfinite(rewards[:, names.index(star)]).any():
        raise ValueError(
            f"no decision of the fit nights has a final {star!r}: ingest more nights, or check "
            "that feedback reaches the log"
        )
    fold = user_folds(log.decisions.user, settings.folds, crc())
    empty = sorted(set(range(settings.folds)) - set(fold.tolist()))
    if empty:
        raise ValueError(
            f"no user falls into folds {empty} of {settings.folds}: {len(set(log.decisions.user))} "
            "users are too few; lower behaviour.folds or add nights"
        )
    binary = np.array([_is_binary(rewards[:, j]) for j in range(len(names))])
    centre, scale = _scales(rewards, binary)
    targets = (rewards - centre) / scale
    clip = settings.selection_clip
    weights = None if clip is None else selection_weights(log, clip)

    space = fit_space(log, settings.components)
    decisions = shown_only(log)
    codes = decisions.candidates.values
    features = pair_features(decisions, space)
    history = (
        HistoryRows.of(log, decisions, space, settings.history)
        if settings.model != "pair"
        else None
    )
    language = (
        LanguageRows.of(decisions, targets, binary, settings.language, seed)
        if settings.model == "language"
        else None
    )
    inner = user_folds(decisions.user, settings.statistics_folds, crc("statistics"))
    members = []
    outputs = np.zeros(rewards.shape)
    for k in range(settings.folds):
        rows = np.flatnonzero(fold != k)
        held = np.flatnonzero(fold == k)
        prior = settings.statistics_prior
        statistics = fit_statistics(decisions.catalog, codes[rows], targets[rows], prior)
        # Rows that are trained on must not meet their own outcome in the statistics.
        own = statistics.table(decisions.catalog)[codes]
        own[rows] = out_of_fold_statistics(codes[rows], targets[rows], inner[rows], prior)
        factors = history.factors(rows, seed + k) if history else ()
        if history:
            tastes = history.tastes(rows, factors, seed + k)
            own = np.concatenate([own, tastes], axis=1)
        reader = language.model(rows, seed + k) if language else None
        if language and reader:
            own = np.concatenate([own, language.outputs(rows, reader, seed + k)], axis=1)
        left_out = features.take(held).with_columns(own[held])
        step = epoch_told(k, settings, progress, curves, left_out, targets[held], binary)
        network = train_network(
            features.with_columns(own), targets, binary, rows, settings, seed + k, step, weights
        )
        member = FoldModel(network, statistics, factors, reader)
        outputs[held] = evaluate(network, left_out, len(names))
        members.append(member)
    model = RewardModel(
        heads=names,
        north_star=star,
        space=space,
        members=tuple(members),
        calibration=tuple(
            fit_calibration(outputs[:, j], rewards[:, j], bool(binary[j]), weights)
            for j in range(len(names))
        ),
    )
    return with_posterior(model, log, settings.uncertainty_nights)


def _is_binary(rewards: NDArray[np.float64]) -> bool:
    known = rewards[np.isfinite(rewards)]
    return bool(np.isin(known, (0.0, 1.0)).all())


def _scales(
    rewards: NDArray[np.float64], binary: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centre and scale of each head: 0 and 1 for a binary one or one without rewards."""
    centre, scale = np.zeros(len(binary)), np.ones(len(binary))
    for j in np.flatnonzero(~binary):
        known = rewards[np.isfinite(rewards[:, j]), j]
        centre[j] = known.mean()
        scale[j] = known.std() or 1.0
    return centre, scale
