"""Which score to serve: off-policy values of greedy policies for users who were held back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.objectives import north_star
from mrlm.bandit_log.ragged import gather, rows, segment_max
from mrlm.bandit_log.user_folds import crc, user_folds
from mrlm.behaviour.networks.network import evaluate
from mrlm.learners.contract import Learner
from mrlm.learners.inputs import LearningSample, expected_rewards, part_of, reweighted
from mrlm.learners.settings import LearningSettings
from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.difference import difference
from mrlm.ope.estimators.dr import DR
from mrlm.ope.intervals import Estimate, estimates
from mrlm.ope.logging_policy import logger_scores
from mrlm.ope.scores import Scores
from mrlm.ope.state.state import EvaluationState
from mrlm.ope.verdict.certify import Thresholds
from mrlm.policies.greedy import greedy_with_floor

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
_DR = DR()


class Contender(Protocol):
    """What may be served: fitted on some users, it scores the candidates of others."""

    @property
    def name(self) -> str:
        """Name in tables."""
        ...

    def held_back_scores(self, sample: LearningSample, fitted: Rows, held: Rows) -> Floats:
        """Score of every candidate of the decisions ``held``, one after the other.

        Args:
            sample: the night's sample; its features of a decision come from a model that never saw
                the decision's user.
            fitted: int64, the decisions that may be learned from, in rising order.
            held: int64, decisions of other users.
        """
        ...


@dataclass(frozen=True)
class ExpectedReward:
    """The reward model's heads at fixed weights: nothing more is learned.

    Attributes:
        name: in tables.
        weights: by objective, each in units of its rewards' standard deviation.
    """

    name: str
    weights: Mapping[str, float]

    def held_back_scores(self, sample: LearningSample, fitted: Rows, held: Rows) -> Floats:
        """Expected scalar reward; see ``Contender``."""
        flat, _ = gather(sample.log.decisions.offsets, held)
        at = sample.scalarisation.at(self.weights)
        value: Floats = at.standardise(expected_rewards(sample)[flat]).sum(axis=1)
        return value


@dataclass(frozen=True)
class LearnedScore:
    """What a learner makes of the decisions that it is given, at fixed weights.

    Attributes:
        name: in tables.
        learner: learns.
        weights: of the objectives.
        settings: of the learner.
        seed: of the learner.
    """

    name: str
    learner: Learner
    weights: Mapping[str, float]
    settings: LearningSettings
    seed: int

    def held_back_scores(self, sample: LearningSample, fitted: Rows, held: Rows) -> Floats:
        """Score of a network that never met the users; see ``Contender``."""
        whole = reweighted(sample, self.weights)
        learned = self.learner.learn(part_of(whole, fitted), self.settings, self.seed)
        flat, _ = gather(sample.log.decisions.offsets, held)
        return evaluate(learned.network, whole.inputs.features.take(flat), 1)[:, 0]


@dataclass(frozen=True)
class Choice:
    """The first contender that is not proven worse than the best.

    Attributes:
        chosen: its name.
        best: the name of the one with the highest value.
        values: by contender, the value of its greedy policy in the north star.
        lift: the chosen policy's value less the logger's, paired, with an interval whose lower end
            holds for all contenders at once (Bonferroni), so also for the one that was chosen.
    """

    chosen: str
    best: str
    values: dict[str, Estimate]
    lift: Estimate

    @property
    def improves(self) -> bool:
        """Whether the log proves that the chosen policy is better than the logger."""
        return self.lift.certified and self.lift.lower > 0.0


def choose(
    sample: LearningSample, contenders: Sequence[Contender], floor: float, error: float = 0.05
) -> Choice:
    """Choose by cross-fitted off-policy values: nobody's rewards judge what was fitted to them.

    The users are split as the reward model splits them. For the users of each fold every contender
    is fitted on all others, and what the reward model says of them comes from the member that
    never saw them. What is left is the path through the features of those others, which members
    gave that did see this fold.

    Of contenders that are close, the highest value is the luckiest one, the more of them there are.
    So the first is taken that is not proven worse than the highest: the paired difference tests
    each at ``error`` over their number (Bonferroni), so that where the first is the best one,
    another is taken with a chance of at most ``error``. Contenders that give all candidates of each
    decision one score come last of all: they prefer nothing, and greedy by them is uniform.

    Args:
        sample: of the fit nights.
        contenders: at least one, with different names, the one first that is to be preferred among
            equals.
        floor: share of uniform exploration of the policies that are compared.
        error: chance that ``Choice.lift`` is above 0 where no contender beats the logger, and that
            the first contender is left where it is the best one.

    Raises:
        ValueError: contenders are missing or share a name, or the sample has no known north star.

    Examples:
        >>> from mrlm import BehaviourSettings, LearningSettings, fit_reward_model
        >>> from mrlm import latent_log, learning_sample
        >>> from mrlm.learners.choice import ExpectedReward, choose
        >>> log, _ = latent_log(n_users=200, decisions_per_user=10, n_candidates=6, seed=0)
        >>> small = BehaviourSettings(folds=2, components=4, hidden=8, projection=4, epochs=4)
        >>> model = fit_reward_model(log, small, seed=0)
        >>> sample = learning_sample(log, model, {"like": 1.0}, LearningSettings(), seed=0)
        >>> heads = [ExpectedReward(h, {h: 1.0}) for h in model.heads]
        >>> found = choose(sample, heads, floor=0.1)
        >>> sorted(found.values), found.chosen in found.values
        (['like', 'rating'], True)
    """
    log = sample.log
    fold = user_folds(log.decisions.user, sample.reward_model.folds, crc())
    star = log.column(north_star(log.objectives).name)
    scores = cross_fitted_scores(sample, contenders, fold)
    return choose_on(log, scores, expected_rewards(sample)[:, star], floor, error)


def cross_fitted_scores(
    sample: LearningSample, contenders: Sequence[Contender], fold: NDArray[np.int64]
) -> dict[str, Floats]:
    """Scores of every candidate by what each contender makes of the users of other folds.

    Args:
        sample: of n decisions with N candidates in all.
        contenders: with different names.
        fold: int64, shape (n,), of each decision's user: the one that the member which gave the
            decision's features never saw.

    Returns:
        By contender, float64, shape (N,).

    Raises:
        ValueError: two contenders share a name.
    """
    log = sample.log
    scores = {c.name: np.zeros(len(log.decisions.candidates.values)) for c in contenders}
    if len(scores) < len(contenders):
        raise ValueError(f"contenders share a name: {[c.name for c in contenders]}")
    for k in np.unique(fold).tolist():
        held, fitted = np.flatnonzero(fold == k), np.flatnonzero(fold != k)
        flat, _ = gather(log.decisions.offsets, held)
        for c in contenders:
            scores[c.name][flat] = c.held_back_scores(sample, fitted, held)
    return scores


def choose_on(
    log: BanditLog, scores: Mapping[str, Floats], q: Floats, floor: float, error: float = 0.05
) -> Choice:
    """Choose by off-policy values on a log that neither scores nor q were fitted on.

    The value is the doubly robust one (Dudik, Langford and Li, 2011) of the policy that is greedy
    by a score, with a floor.

    Args:
        log: n decisions with N candidates in all: of other users, or of later nights.
        scores: by contender, float64, shape (N,); among equals the first that prefers anything is
            preferred.
        q: expected north star of every candidate, float64, shape (N,).
        floor: share of uniform exploration.
        error: see ``choose``.

    Raises:
        ValueError: there is no score, or no known north star.
    """
    if not scores:
        raise ValueError("there is nothing to choose from: give at least one contender")
    rounds = north_star_rounds(log, q)
    by_name = greedy_values(rounds, scores, floor)
    values = {name: estimate_of(found, 1.0 - 2.0 * error) for name, found in by_name.items()}
    best = max(values, key=lambda name: values[name].value)
    if np.isnan(values[best].value):
        raise ValueError(f"no decision has a final {rounds.objectives[0]!r}: ingest more nights")
    z = float(ndtri(1.0 - error / max(len(values) - 1, 1)))
    in_order = sorted(values, key=lambda name: _prefers_nothing(scores[name], rounds.offsets))
    chosen = next(name for name in in_order if _as_good(by_name[name], by_name[best], z))
    paired = difference(by_name[chosen], logger_scores(rounds, _DR))
    return Choice(chosen, best, values, estimate_of(paired, 1.0 - 2.0 * error / len(values)))


def _as_good(scores: Scores, best: Scores, z: float) -> bool:
    """Whether a value is less than ``z`` standard errors below the best."""
    found = estimate_of(difference(best, scores), 0.5)
    return scores is best or found.value <= z * found.standard_error


def _prefers_nothing(score: Floats, offsets: NDArray[np.int64]) -> bool:
    """Whether all candidates of each decision have one score."""
    return bool((score == segment_max(score, offsets)[rows(offsets)]).all())


def greedy_values(
    rounds: EvaluationBatch, scores: Mapping[str, Floats], floor: float
) -> dict[str, Scores]:
    """Doubly robust scores of the policy that is greedy by each score, with a floor.

    Args:
        rounds: of ``north_star_rounds``, N candidates in all.
        scores: by name, float64, shape (N,).
        floor: share of uniform exploration.
    """
    return {
        name: _DR(rounds.with_target(greedy_with_floor(score, rounds.offsets, floor), name))
        for name, score in scores.items()
    }


def north_star_rounds(log: BanditLog, q: Floats) -> EvaluationBatch:
    """The log in its north star alone, with a uniform target that is to be replaced.

    Args:
        log: n decisions with N candidates in all.
        q: expected north star of every candidate, float64, shape (N,).
    """
    star = north_star(log.objectives).name
    column = log.column(star)
    lengths = np.diff(log.decisions.offsets)
    return EvaluationBatch(
        cluster=log.decisions.user,
        offsets=log.decisions.offsets,
        target=np.repeat(1.0 / lengths, lengths),
        shown=log.shown,
        propensity=log.propensity,
        rewards=np.where(log.final, log.rewards, np.nan)[:, [column]],
        objectives=(star,),
        q=q[:, None],
        candidate_propensity=log.candidate_propensity,
    )


def estimate_of(scores: Scores, level: float) -> Estimate:
    """The only objective's estimate, with a two-sided interval of this level."""
    state = EvaluationState.of(scores)
    (found,) = estimates(state, level, Thresholds()).values()
    return found
