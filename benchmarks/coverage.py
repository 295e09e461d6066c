"""Does the 95 % interval of a policy's value cover the truth? Replayed worlds of real ratings.

Each world draws users from the population of the ratings with replacement and replays them under
the known logger. The value that the user-clustered interval is for is the one in the population:
total true reward of the policy over total decisions, over the union of all worlds. The value on a
world's own states varies less around the estimate, so its coverage is expected to be higher.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks import _skdr_eval
from benchmarks.rows import Row
from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.ragged import segment_log_softmax, segment_sum
from mrlm.ope import ESTIMATORS, EvaluationBatch, EvaluationState, difference, estimates
from mrlm.worlds.memory import replay_log
from mrlm.worlds.objectives import DEMO_OBJECTIVES
from mrlm.worlds.ratings import CompleteRatings, load_movielens
from mrlm.worlds.replayed import ReplaySettings

LEVEL = 0.95
LOW, HIGH = 0.93, 0.98
USERS = 100
OBJECTIVES = ("delight", "like", "relative_rating")
SETTINGS = ReplaySettings(nights=6, max_slots=16)
PILOT_SEED = 1_000_000
PEER_WORLDS = 200
_SETTINGS = {
    _skdr_eval.BEST: "logged propensities, mean of q under the policy (ips, snips: none), no clip",
    _skdr_eval.OWN: "logged propensities, q of the shown item, its own choice of a clip",
}


@dataclass
class Tally:
    """Intervals of one estimator over all worlds, arrays of (worlds, objectives)."""

    value: list[list[float]] = field(default_factory=list)
    lower: list[list[float]] = field(default_factory=list)
    upper: list[list[float]] = field(default_factory=list)
    certified: list[list[bool]] = field(default_factory=list)
    own_truth: list[NDArray[np.float64]] = field(default_factory=list)

    def share(self, truth: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share of worlds whose interval covers a truth of shape (m,) or (worlds, m)."""
        return np.mean((np.array(self.lower) <= truth) & (truth <= np.array(self.upper)), axis=0)


def target_policy(log: BanditLog) -> NDArray[np.float64]:
    """A policy far from the logger, sharply for recent films, shape (N,)."""
    attributes = log.decisions.catalog.attributes
    year = np.nan_to_num(attributes["year"], nan=1990.0)
    logits = 0.15 * (year - 1990)
    return _floored(log, logits)


def logging_policy(log: BanditLog) -> NDArray[np.float64]:
    """The probabilities that the log states, shape (N,)."""
    return log.candidate_propensity


def _floored(
    log: BanditLog, logits: NDArray[np.float64], floor: float = 0.1
) -> NDArray[np.float64]:
    decisions = log.decisions
    codes = decisions.candidates.values.astype(np.int64)
    soft = np.exp(segment_log_softmax(logits[codes], decisions.offsets))
    lengths = np.diff(decisions.offsets)
    return (1 - floor) * soft + np.repeat(floor / lengths, lengths)


class ItemModel:
    """A reward model fitted on a pilot world: shrunk mean of each film, any fixed q will do."""

    def __init__(self, log: BanditLog, strength: float = 10.0) -> None:
        shown = log.decisions.candidates.values[log.shown].astype(np.int64)
        items = len(log.decisions.catalog)
        count = np.bincount(shown, minlength=items)
        self._mean = np.empty((items, log.rewards.shape[1]))
        for j, reward in enumerate(log.rewards.T):
            total = np.bincount(shown, weights=reward, minlength=items)
            self._mean[:, j] = (total + strength * reward.mean()) / (count + strength)

    def predict(self, log: BanditLog) -> NDArray[np.float64]:
        """Predicted reward of every candidate, shape (N, m)."""
        return self._mean[log.decisions.candidates.values.astype(np.int64)]


def world(population: CompleteRatings, seed: int) -> tuple[BanditLog, NDArray[np.float64]]:
    """One replayed world with the objectives of ``OBJECTIVES``, and the truth, shape (N, m)."""
    objectives = tuple(o for o in DEMO_OBJECTIVES if o.name in OBJECTIVES)
    return replay_log(population, seed=seed, users=USERS, settings=SETTINGS, objectives=objectives)


def simulate(
    worlds: int, first_seed: int = 0, ratings: CompleteRatings | None = None
) -> tuple[dict[str, Tally], dict[str, NDArray[np.float64]]]:
    """Intervals of all estimators over ``worlds`` worlds, and the population's truth.

    Returns:
        Tallies by estimator, and ``difference`` for the paired doubly robust difference to the
        logger; truth of ``policy`` and ``difference`` in the population, shape (m,).
    """
    population = ratings if ratings is not None else load_movielens()
    model = ItemModel(world(population, PILOT_SEED)[0])
    tallies = {name: Tally() for name in [*ESTIMATORS, "difference"]}
    totals = {"policy": np.zeros(len(OBJECTIVES)), "difference": np.zeros(len(OBJECTIVES))}
    rows = 0
    for seed in range(first_seed, first_seed + worlds):
        log, truth = world(population, seed)
        batch = evaluation_batch(log, model)
        logger = batch.with_target(logging_policy(log), "logger")
        real = segment_sum(batch.target[:, None] * truth, batch.offsets)
        real_logger = segment_sum(logger.target[:, None] * truth, batch.offsets)
        rows += len(log)
        totals["policy"] += real.sum(0)
        totals["difference"] += (real - real_logger).sum(0)
        for name, estimator in ESTIMATORS.items():
            _record(tallies[name], EvaluationState.of(estimator(batch)), real.mean(0))
        paired = difference(ESTIMATORS["dr"](batch), ESTIMATORS["dr"](logger))
        _record(tallies["difference"], EvaluationState.of(paired), (real - real_logger).mean(0))
    return tallies, {name: total / rows for name, total in totals.items()}


def evaluation_batch(log: BanditLog, model: ItemModel) -> EvaluationBatch:
    """The log as estimators see it, under the target policy."""
    return EvaluationBatch.from_log(log, target_policy(log), model.predict(log), "target")


def _record(tally: Tally, state: EvaluationState, own_truth: NDArray[np.float64]) -> None:
    found = estimates(state, LEVEL)
    tally.value.append([found[o].value for o in OBJECTIVES])
    tally.lower.append([found[o].lower for o in OBJECTIVES])
    tally.upper.append([found[o].upper for o in OBJECTIVES])
    tally.certified.append([found[o].certified for o in OBJECTIVES])
    tally.own_truth.append(own_truth)


def run(quick: bool) -> list[Row]:
    """Coverage of every estimator; 300 worlds when quick, else 2000."""
    worlds = 500 if quick else 2000
    tallies, truth = simulate(worlds)
    peers = peer_coverage(PEER_WORLDS, truth["policy"])
    error = float(np.sqrt(LEVEL * (1 - LEVEL) / worlds))
    rows = []
    for name, tally in tallies.items():
        real = truth["difference" if name == "difference" else "policy"]
        shares, own = tally.share(real), tally.share(np.array(tally.own_truth))
        certified = np.mean(tally.certified, axis=0)
        for k, objective in enumerate(OBJECTIVES):
            share = float(shares[k])
            peer = peers.get((name, objective))
            judged = name != "dm" and objective == "delight"
            bar = f"{LOW} to {HIGH}" if judged else ""
            rows.append(
                Row(
                    measure=f"share of 95 % intervals that cover, {name}, {objective}",
                    ours=share,
                    peer=peer,
                    bar=bar,
                    holds=LOW <= share <= HIGH if judged else None,
                    note=f"{worlds} worlds of {USERS} users, Monte Carlo error {error:.4f}; "
                    f"own states {own[k]:.3f}; certified {certified[k]:.3f}"
                    + (f"; peer: obp bootstrap, {PEER_WORLDS} worlds" if peer else ""),
                )
            )
    return rows + _beside_skdr_eval(tallies, truth["policy"])


def peer_coverage(worlds: int, truth: NDArray[np.float64]) -> dict[tuple[str, str], float]:
    """Coverage of obp's bootstrap interval on the first worlds; empty without obp."""
    try:
        from obp.ope import DirectMethod, DoublyRobust
        from obp.ope import InverseProbabilityWeighting as Ipw
        from obp.ope import SelfNormalizedInverseProbabilityWeighting as Snipw
    except ImportError:
        return {}
    population = load_movielens()
    model = ItemModel(world(population, PILOT_SEED)[0])
    peers = {"ips": Ipw(), "snips": Snipw(), "dm": DirectMethod(), "dr": DoublyRobust()}
    hits = dict.fromkeys(peers, 0)
    for seed in range(worlds):
        log, _ = world(population, seed)
        inputs = as_obp(evaluation_batch(log, model), 0)
        for name, peer in peers.items():
            found = peer.estimate_interval(
                **inputs, alpha=1 - LEVEL, n_bootstrap_samples=200, random_state=seed
            )
            lower, upper = found["95.0% CI (lower)"], found["95.0% CI (upper)"]
            hits[name] += int(lower <= truth[0] <= upper)
    return {(name, OBJECTIVES[0]): h / worlds for name, h in hits.items()}


def _beside_skdr_eval(tallies: dict[str, Tally], truth: NDArray[np.float64]) -> list[Row]:
    """Our coverage and that of skdr-eval on the same first worlds; empty without it."""
    population = load_movielens()
    model = ItemModel(world(population, PILOT_SEED)[0])
    found: dict[tuple[str, str], list[_skdr_eval.Interval]] = {}
    try:
        for seed in range(PEER_WORLDS):
            batch = evaluation_batch(world(population, seed)[0], model)
            for key, interval in _skdr_eval.intervals(batch, LEVEL, seed).items():
                found.setdefault(key, []).append(interval)
    except ImportError:
        return []
    rows = []
    for (name, settings), intervals in found.items():
        tally = tallies[name]
        lower, upper = np.array(intervals).T
        ends = np.array(tally.lower)[:PEER_WORLDS, 0], np.array(tally.upper)[:PEER_WORLDS, 0]
        width, ours = float(np.mean(upper - lower)), float(np.mean(ends[1] - ends[0]))
        rows.append(
            Row(
                f"the same worlds as skdr-eval, {settings}, {name}, {OBJECTIVES[0]}",
                float(np.mean((ends[0] <= truth[0]) & (truth[0] <= ends[1]))),
                float(np.mean((lower <= truth[0]) & (truth[0] <= upper))),
                note=f"{PEER_WORLDS} worlds; mean width {ours:.4f}, of the peer {width:.4f}; "
                + _SETTINGS[settings],
            )
        )
    return rows


def as_obp(batch: EvaluationBatch, objective: int) -> dict[str, NDArray[np.generic]]:
    """The batch as obp's dense arguments for one objective, candidate sets padded with zeros."""
    n, lengths = len(batch), np.diff(batch.offsets)
    row = np.repeat(np.arange(n), lengths)
    place = np.arange(len(row)) - batch.offsets[:-1][row]
    distribution = np.zeros((n, int(lengths.max()), 1))
    distribution[row, place, 0] = batch.target
    predicted = np.zeros(distribution.shape)
    predicted[row, place, 0] = batch.predictions[:, objective]
    return {
        "reward": batch.rewards[:, objective],
        "action": batch.shown - batch.offsets[:-1],
        "pscore": batch.propensity,
        "action_dist": distribution,
        "estimated_rewards_by_reg_model": predicted,
        "position": np.zeros(n, np.int64),
    }
