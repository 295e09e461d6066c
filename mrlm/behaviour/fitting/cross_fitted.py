"""One network a fold of users, fitted to what was observed, on what its model reads."""

from __future__ import annotations

import numpy as np

from mrlm.behaviour.ensemble.fold_model import FoldModel
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.features.pair_features import pair_features
from mrlm.behaviour.features.space import FeatureSpace
from mrlm.behaviour.fitting.fit_rows import FitRows
from mrlm.behaviour.fitting.history_rows import HistoryRows
from mrlm.behaviour.fitting.sequence_rows import SequenceRows, pass_told
from mrlm.behaviour.fitting.training import train_network
from mrlm.behaviour.fitting.training_curves import Progress, epoch_told
from mrlm.behaviour.language.language_rows import LanguageRows
from mrlm.behaviour.networks.network import evaluate
from mrlm.metrics.curves import Curves


def fit_cross_fitted(
    fit: FitRows,
    space: FeatureSpace,
    seed: int,
    progress: Progress | None = None,
    curves: Curves | None = None,
) -> RewardModel:
    """The model that ``behaviour.model`` names: see ``fit_reward_model``.

    Args:
        fit: the rows, and the settings.
        space: scales fitted on their log.
        seed: of weights, order of rows and dropout.
        progress: called with (epochs done, epochs in all).
        curves: takes the mean loss by epoch of each fold, see ``epoch_told``.
    """
    settings, targets, decisions = fit.settings, fit.targets, fit.decisions
    codes = decisions.candidates.values
    features = pair_features(decisions, space)
    history = (
        HistoryRows.of(fit.log, decisions, space, settings.history, fit.outcomes, fit.whole)
        if settings.model != "pair"
        else None
    )
    language = (
        LanguageRows.of(decisions, targets, fit.binary, settings.language, seed)
        if settings.model == "language"
        else None
    )
    sequence = SequenceRows.of(fit, space) if settings.model == "sequence" else None
    members = []
    outputs = np.zeros(targets.shape)
    for k in range(settings.folds):
        rows, held = np.flatnonzero(fit.outcomes.fold != k), np.flatnonzero(fit.outcomes.fold == k)
        statistics = fit.statistics(k)
        # Rows that are trained on must not meet their own outcome in the statistics.
        own = statistics.table(decisions.catalog)[codes]
        of_folds = fit.statistics_of_folds(k)
        own[rows] = of_folds.without(fit.outcomes.statistics_fold[rows], codes[rows])
        factors = history.factors(k, seed + k) if history else ()
        if history:
            tastes = history.tastes(k, factors, seed + k)
            own = np.concatenate([own, tastes], axis=1)
        reader = language.model(rows, seed + k) if language else None
        if language and reader:
            own = np.concatenate([own, language.outputs(rows, reader, seed + k)], axis=1)
        events = sequence.model(k, seed + k, pass_told(k, curves)) if sequence else None
        if sequence and events:
            own = np.concatenate([own, sequence.outputs(k, events, seed + k)], axis=1)
        left_out = features.take(held).with_columns(own[held])
        told = epoch_told(k, settings, progress, curves, left_out, targets[held], fit.binary)
        network = train_network(
            features.with_columns(own),
            targets,
            fit.binary,
            rows,
            settings,
            seed + k,
            told,
            fit.weights,
        )
        outputs[held] = evaluate(network, left_out, len(fit.heads))
        members.append(FoldModel(network, statistics, factors, reader, events))
    return fit.model(space, members, outputs)
