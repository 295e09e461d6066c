"""What a night of this room learns: heads, the tuned challenger, and the oracle's weights."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import Bounds, minimize

from benchmarks._demonstration import settings
from benchmarks.loop._world import Past
from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.objectives import north_star
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.behaviour.settings import BehaviourSettings
from mrlm.learners.baselines import BASELINES
from mrlm.meta.state.meta_state import MetaState
from mrlm.meta.tuned_night import tuned_night
from mrlm.policies.contract import Policy, Scorer
from mrlm.policies.features import feature_columns, feature_matrix
from mrlm.policies.standardise import Standardiser
from mrlm.policies.tuned import Tuned
from mrlm.worlds.live_replay import Floats
from pipelines.nights.plan import split

# A night has seconds here: a smaller model than a night's own, on fewer nights.
HEADS = BehaviourSettings(model="pair", folds=2, components=32, hidden=32, projection=16, epochs=4)
LEAST_FIT_NIGHTS, FIT_NIGHTS = 3, 8
# The one learned policy of a night here.
SIMPLE = "item_mean"
# What is likely better may go on trial, which proves it or does not.
LIKELY = 0.6


@dataclass(frozen=True)
class Nights:
    """Nights of one run, ISO dates, as a night's plan splits them."""

    fit: list[str]
    tune: list[str]
    gate: list[str]

    @property
    def enough(self) -> bool:
        """Whether there are as many as it takes to learn."""
        return len(self.fit) >= LEAST_FIT_NIGHTS and len(self.tune) >= settings().split.tune_nights


def nights_of(final: list[str], judged: set[str], *, judges_own: bool = True) -> Nights:
    """The newest nights that no decision has used, and those to tune and to fit on.

    Where the first judge tonight's own challenger, the others come before them.
    """
    of = settings().split
    most = of.gate_nights, of.tune_nights, FIT_NIGHTS, LEAST_FIT_NIGHTS
    fit, tune, gate = split(final, judged, *most)
    if not judges_own:
        fit, tune, _ = split(final, set(final), *most)
    return Nights(fit, tune, gate)


@dataclass(frozen=True)
class Memory:
    """What the meta-update leaves to the next night."""

    state: MetaState = field(default_factory=MetaState)
    weights: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Challenger:
    """What one night learned.

    Attributes:
        policy: the challenger; the champion itself where nothing better was found.
        model: whose heads it weighs, which the evidence predicts with.
        memory: for the next night.
    """

    policy: Policy
    model: RewardModel
    memory: Memory


def heads_of(past: Past, nights: Nights) -> RewardModel:
    """The reward model of these fit nights."""
    return fit_reward_model(past.on(nights.fit), HEADS, settings().seed)


def item_mean_of(past: Past, nights: Nights) -> Scorer:
    """What each item brought on these fit nights."""
    star = north_star(settings().objective_tuple).name
    return BASELINES[SIMPLE](past.on(nights.fit), star)


def learn(past: Past, nights: Nights, champion: Policy, before: Memory) -> Challenger:
    """The challenger of these nights, by the library's own meta-update."""
    of = settings()
    names = [o.name for o in of.objective_tuple]
    model = heads_of(past, nights)
    found = tuned_night(
        past.on(nights.tune),
        of.objective_tuple,
        (model, item_mean_of(past, nights)),
        champion,
        before.state,
        of.tuning.model_copy(update={"baselines": (SIMPLE,), "head_confidence": LIKELY}),
        nights=nights.tune,
        learned=(SIMPLE,),
        horizon=(),
        weights=before.weights or dict.fromkeys(names, 1 / len(names)),
        seed=of.seed,
    )
    return Challenger(found.policy, model, Memory(found.update.state, found.weights))


def best_of_class(
    log: BanditLog, truth: Floats, scorers: tuple[RewardModel, *tuple[Scorer, ...]], anchor: Policy
) -> Tuned:
    """The tuned policy of these scorers with the largest true value on a log's decisions.

    Args:
        log: n decisions with N candidates.
        truth: float64, shape (N,), what is maximised: the north star of each candidate.
        scorers: heads, and learned scores if any, which are weighed.
        anchor: what kappa weighs.

    Returns:
        Kappa in [0, 1] and thetas up to ``tuning.max_scale`` in size, found by L-BFGS-B with exact
        gradients from the north star's head alone, with the night's exploration floor.
    """
    of = settings().tuning
    known = tuple(o for o in log.objectives if o.source != "feedback")
    columns = feature_columns(scorers, known)
    matrix = feature_matrix(log.decisions, scorers, known)
    standardiser = Standardiser.fit(columns, matrix)
    core = anchor.core_log_probabilities(log.decisions)
    inputs = np.column_stack([core, standardiser.apply(matrix)])
    offsets, n = log.decisions.offsets, len(log)
    row = log.decisions.candidates.row

    def less_value(point: Floats) -> tuple[float, Floats]:
        logit = inputs @ point
        soft = np.exp(logit - np.maximum.reduceat(logit, offsets[:-1])[row])
        soft /= np.add.reduceat(soft, offsets[:-1])[row]
        mean = np.add.reduceat(soft * truth, offsets[:-1])
        return -float(mean.sum()) / n, -(soft * (truth - mean[row])) @ inputs / n

    first = np.array([0.0, *(float(c == scorers[0].north_star) for c in columns)])
    low = np.array([0.0, *[-of.max_scale] * len(columns)])
    high = np.array([1.0, *[of.max_scale] * len(columns)])
    found = minimize(less_value, first, jac=True, method="L-BFGS-B", bounds=Bounds(low, high))
    point = np.asarray(found.x, np.float64)
    return Tuned(
        anchor, scorers, known, standardiser, float(point[0]), point[1:], of.floor, "oracle"
    )
