"""A model of pairs taught by one that reads more, to be served in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from mrlm.bandit_log import Decisions, Ragged
from mrlm.bandit_log.distinct_pairs import distinct_pairs
from mrlm.bandit_log.ragged import rows as row_of
from mrlm.behaviour.ensemble.fold_model import FoldModel
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.features.pair_features import PairFeatures, pair_features
from mrlm.behaviour.features.space import FeatureSpace
from mrlm.behaviour.features.taste import tastes_of
from mrlm.behaviour.fitting.fit_rows import FitRows
from mrlm.behaviour.fitting.folds_at_once import fitted_folds
from mrlm.behaviour.fitting.training import train_network
from mrlm.behaviour.fitting.training_curves import Progress, epoch_told
from mrlm.behaviour.networks.network import evaluate
from mrlm.metrics.curves import Curves

# Candidates of a decision that the teacher is asked about, drawn anew from the seed: all of them
# would cost as many times the training, and neighbours in one set teach much the same.
ASKED = 4


def fit_student(
    teacher: RewardModel,
    fit: FitRows,
    seed: int,
    progress: Progress | None = None,
    curves: Curves | None = None,
) -> RewardModel:
    """A ``pair`` model that learns from what was observed and from what the teacher expects.

    Member k learns from the users outside fold k, and asks the teacher's member k, which has not
    seen fold k either; what that says is taken as it is, for calibration has seen all. A decision's
    loss is

        (1 - share) loss(shown, observed) + share mean over c of loss(c, teacher's expectation of c)

    over up to ``ASKED`` of its candidates c, where ``share`` is ``behaviour.distil`` and the loss
    is that of ``head_loss``: cross-entropy with the expected probability for a binary head.
    Source: Hinton, Vinyals and Dean, Distilling the knowledge in a neural network, 2015, with the
    temperature 1.

    Args:
        teacher: fitted on the same rows.
        fit: the rows, and the settings.
        seed: of weights, drawn candidates, order of rows and dropout.
        progress: called with (epochs done, epochs in all).
        curves: takes the mean loss by epoch of each fold, see ``epoch_told``.
    """
    settings, space = fit.settings, teacher.space
    shown, asked = pair_features(fit.decisions, space), drawn_candidates(fit.log.decisions, seed)
    of_asked = pair_features(asked, space)
    features = _joined(shown, of_asked)
    n, codes = len(fit.log), features.item
    wanted = np.concatenate([fit.targets, np.zeros((len(codes) - n, len(fit.heads)))])
    weights = _weights(fit, asked)

    def member(
        fold: int, curves: Curves | None, epoch: Callable[[], None]
    ) -> tuple[FoldModel, NDArray[np.float64]]:
        held = np.flatnonzero(fit.outcomes.fold == fold)
        rows = np.flatnonzero(fit.outcomes.fold[features.row] != fold)
        statistics = fit.statistics(fold)
        own = statistics.table(fit.decisions.catalog)[codes]
        of_folds = fit.statistics_of_folds(fold)
        own[rows] = of_folds.without(fit.outcomes.statistics_fold[features.row[rows]], codes[rows])
        asked_of = of_asked.with_columns(own[n:])
        taught = _outputs(teacher.members[fold], asked, asked_of, space)
        wanted[n:] = np.where(fit.binary, expit(taught), taught)
        left_out = features.take(held).with_columns(own[held])
        told = epoch_told(fold, curves, left_out, fit.targets[held], fit.binary, epoch)
        network = train_network(
            features.with_columns(own),
            wanted,
            fit.binary,
            rows,
            settings,
            seed + fold,
            told,
            weights,
        )
        return FoldModel(network, statistics), evaluate(network, left_out, len(fit.heads))

    found = fitted_folds(member, settings, fit.size, progress, curves)
    outputs = np.zeros(fit.targets.shape)
    for k, (_, of_held) in enumerate(found):
        outputs[fit.outcomes.fold == k] = of_held
    return fit.model(space, [model for model, _ in found], outputs)


def _outputs(
    member: FoldModel, asked: Decisions, features: PairFeatures, space: FeatureSpace
) -> NDArray[np.float64]:
    """What a member's network says of candidates, not calibrated, (N, heads).

    Args:
        member: of the teacher.
        asked: decisions with N candidates in all.
        features: of these, with statistics of their items that leave out the user of each: with
            its own the network would be told a part of what it is asked.
        space: what the member reads by.
    """
    pairs = distinct_pairs(asked)
    taste = tastes_of(pairs.states, space, member.factors)
    more = member.beside_statistics(pairs.states, taste)[pairs.pair]
    return evaluate(member.network, features.with_columns(more), member.network.head.out_features)


def drawn_candidates(decisions: Decisions, seed: int) -> Decisions:
    """The same with at most ``ASKED`` of each decision's candidates, drawn uniformly."""
    offsets = decisions.offsets
    row = row_of(offsets)
    order = np.lexsort((np.random.default_rng(seed).random(len(row)), row))
    drawn = np.sort(order[np.arange(len(row)) - offsets[row] < ASKED])
    kept = np.concatenate([[0], np.cumsum(np.minimum(np.diff(offsets), ASKED))])
    return replace(decisions, candidates=Ragged(kept, decisions.candidates.values[drawn]))


def _joined(shown: PairFeatures, asked: PairFeatures) -> PairFeatures:
    """What is read of the shown items, then of the asked candidates of the same decisions."""
    return replace(
        shown,
        dense=np.concatenate([shown.dense, asked.dense]),
        item=np.concatenate([shown.item, asked.item]),
        row=np.concatenate([shown.row, asked.row]),
    )


def _weights(fit: FitRows, asked: Decisions) -> NDArray[np.float64]:
    """How much each shown item and each asked candidate counts; see ``fit_student``."""
    share = fit.settings.distil
    observed = np.ones(len(fit.log)) if fit.weights is None else fit.weights
    lengths = asked.candidates.lengths
    return np.concatenate([(1 - share) * observed, np.repeat(share / lengths, lengths)])
