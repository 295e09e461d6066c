"""One network a fold of users, fitted to what was observed, on what its model reads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mrlm.behaviour.ensemble.fold_model import FoldModel
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.features.pair_features import pair_features
from mrlm.behaviour.features.space import FeatureSpace
from mrlm.behaviour.fitting.fit_rows import FitRows
from mrlm.behaviour.fitting.folds_at_once import fitted_folds
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

    def member(
        fold: int, curves: Curves | None, epoch: Callable[[], None]
    ) -> tuple[FoldModel, NDArray[np.float64]]:
        rows = np.flatnonzero(fit.outcomes.fold != fold)
        held = np.flatnonzero(fit.outcomes.fold == fold)
        statistics = fit.statistics(fold)
        # Rows that are trained on must not meet their own outcome in the statistics.
        own = statistics.table(decisions.catalog)[codes]
        of_folds = fit.statistics_of_folds(fold)
        own[rows] = of_folds.without(fit.outcomes.statistics_fold[rows], codes[rows])
        factors = history.factors(fold, seed + fold) if history else ()
        if history:
            tastes = history.tastes(fold, factors, seed + fold)
            own = np.concatenate([own, tastes], axis=1)
        reader = language.model(rows, seed + fold) if language else None
        if language and reader:
            own = np.concatenate([own, language.outputs(rows, reader, seed + fold)], axis=1)
        events = sequence.model(fold, seed + fold, pass_told(fold, curves)) if sequence else None
        if sequence and events:
            own = np.concatenate([own, sequence.outputs(fold, events, seed + fold)], axis=1)
        left_out = features.take(held).with_columns(own[held])
        told = epoch_told(fold, curves, left_out, targets[held], fit.binary, epoch)
        network = train_network(
            features.with_columns(own),
            targets,
            fit.binary,
            rows,
            settings,
            seed + fold,
            told,
            fit.weights,
        )
        model = FoldModel(network, statistics, factors, reader, events)
        return model, evaluate(network, left_out, len(fit.heads))

    found = fitted_folds(member, settings, fit.size, progress, curves)
    outputs = np.zeros(targets.shape)
    for k, (_, of_held) in enumerate(found):
        outputs[fit.outcomes.fold == k] = of_held
    return fit.model(space, [model for model, _ in found], outputs)
