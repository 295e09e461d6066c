"""The challenger that reaches the gate, night by night as the demonstration's plan moves on.

Three nights are judged, as by ``make run``: the ninth, the eleventh and the twelfth, each with the
nights to fit, to tune and to judge on that the plan takes. The tenth is left out, because there the
demonstration's validation finds a broken logger. The first champion is the logger itself, and every
challenger is the champion of the next night. Item mean and boosted trees, at settings that the log
of the demonstration's own seed chose, are fitted on the same fit nights. All policies have the same
floor, but for the logger.

5 seeds of the logger. Quick: 1 seed of a smaller world.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._demonstration import (
    QUICK_USERS,
    KnownLog,
    demonstration,
    nights_of,
    seeds,
    settings,
)
from benchmarks.learners._comparison import LOGGER, ORACLE, Values, by_user, rows_by_user
from benchmarks.learners._finished import finished
from benchmarks.learners._ours import fitted, heads, scores_of
from benchmarks.learners._peers.field import ITEM_MEAN, TREES, fitted_peer, sample_of, tuned_peers
from benchmarks.rows import Row
from mrlm.bandit_log import BanditLog, Decisions
from mrlm.bandit_log.objectives import north_star
from mrlm.learners.choice import choose_on
from mrlm.learners.inputs import LearningSample, reweighted
from mrlm.learners.registry import LEARNERS
from mrlm.meta.challenger import anchor_of, challenger
from mrlm.meta.problem.problem_of_log import tuning_problem
from mrlm.meta.search.tuning_result import TuningResult
from mrlm.meta.training_weights.first_weights import first_weights
from mrlm.meta.training_weights.scalarise import objective_weights
from mrlm.meta.tune import tune
from mrlm.policies.contract import Policy, Scorer
from mrlm.policies.features import feature_columns, feature_matrix
from mrlm.policies.greedy import greedy_with_floor
from mrlm.policies.loggers.item_softmax import ItemSoftmax, Term
from mrlm.policies.standardise import Standardiser
from mrlm.worlds.dirt import DirtSettings
from mrlm.worlds.logger import SoftmaxLogger
from pipelines.nights.plan import split

SEEDS, QUICK_SEEDS = 5, 1
# Nights from 0, of those that go through the demonstration's Airflow.
LIVE = (8, 10, 11)
CHALLENGER, GREEDY = "challenger", "greedy, chosen on the tune nights"
KEPT = 0.97


@dataclass(frozen=True)
class State:
    """What one night leaves to the next.

    Attributes:
        champion: the policy that the next challenger is compared with.
        weights: of the objectives, for learners; None before the first night.
        point: of the last meta-update, (kappa, theta); None before the first night.
    """

    champion: Policy
    weights: Mapping[str, float] | None = None
    point: NDArray[np.float64] | None = None


def run(quick: bool) -> list[Row]:
    """True values on the gate nights, the challenger against baselines, and night by night."""
    kept = finished(__name__)
    users = QUICK_USERS if quick else None
    settings_of = kept.of(["peers", users or 0], lambda: tuned_peers(users))
    cells = [
        kept.of(["challenger", users or 0, seed], lambda seed=seed: cell(seed, settings_of, users))  # type: ignore[misc]
        for seed in seeds(QUICK_SEEDS if quick else SEEDS)
    ]
    return _rows(cells, judged=not quick)


def plans(nights: Sequence[str]) -> Iterator[tuple[list[str], list[str], list[str]]]:
    """Nights to fit, to tune and to judge on, of each night that is judged.

    A night's north star is final one night later, so what a night can use ends with the one before.
    """
    of, broken = settings().split, DirtSettings().broken_night
    judged: set[str] = set()
    for live in LIVE:
        final = [night for k, night in enumerate(nights[:live]) if k != broken]
        fit, tune_on, gate = split(final, judged, of.gate_nights, of.tune_nights, of.fit_nights)
        judged |= {*gate}
        yield fit, tune_on, gate


def logger_policy() -> Policy:
    """The world's logger as a policy."""
    logger = SoftmaxLogger()
    term = Term(logger.attribute, True, 0.0, 1.0, logger.coefficient)
    return ItemSoftmax((term,), logger.floor)


def cell(seed: int, settings_of: Mapping[str, str], users: int | None) -> list[dict[str, Any]]:
    """Each judged night under one seed."""
    world = demonstration(seed, users)
    state, found = State(logger_policy()), []
    for fit, tune_on, gate in plans(nights_of(world)):
        first, second, third = (world.on_nights(nights) for nights in (fit, tune_on, gate))
        state, night = _night(first, second, third, state, settings_of)
        found.append({"fit": fit, "tune": tune_on, "gate": gate, **night})
    return found


def _night(
    fit: KnownLog,
    tune_on: KnownLog,
    gate: KnownLog,
    before: State,
    settings_of: Mapping[str, str],
) -> tuple[State, dict[str, Any]]:
    of = settings()
    sample = sample_of(fit.log)
    names = [o.name for o in of.objective_tuple]
    weights = before.weights or first_weights(fit.log, sample.reward_model, of.tuning, of.seed)
    whole = reweighted(sample, weights)
    learned = [LEARNERS[n].learn(whole, of.learning, of.seed) for n in of.learning.learners]
    scorers: tuple[Scorer, ...] = (sample.reward_model, *learned)
    policy, result, serves = tuned_policy(tune_on.log, scorers, before)
    after = State(
        policy,
        objective_weights(names, result, serves, of.learning.learners, weights),
        result.point,
    )
    chosen, greedy = _greedy(sample, learned, tune_on, gate)
    offsets, floor = gate.log.decisions.offsets, of.learning.floor
    policies = {
        CHALLENGER: np.exp(policy.log_probabilities(gate.log.decisions)),
        "champion": np.exp(before.champion.log_probabilities(gate.log.decisions)),
        LOGGER: gate.log.candidate_propensity,
        ORACLE: greedy_with_floor(gate.truth, offsets, floor),
        **greedy,
        GREEDY: greedy[chosen],
    }
    peers = {n: fitted_peer(n, fit.log, sample, settings_of) for n in (ITEM_MEAN, TREES)}
    for name, score in scores_of(sample.reward_model, gate.log.decisions, peers).items():
        policies[name] = greedy_with_floor(score, offsets, floor)
    return after, {
        "rows": rows_by_user(gate),
        "sums": {name: by_user(gate, p) for name, p in policies.items()},
        "chosen": chosen,
        "weights": dict(after.weights or {}),
        "tuned": {
            "reason": result.reason,
            "kappa": result.kappa,
            "theta": dict(zip(result.columns, result.theta, strict=True)),
            "scale": result.scale,
            "kl": result.kl,
            "limited by": list(result.limited_by) if result.moved else [],
        },
    }


def tuned_policy(
    log: BanditLog, scorers: tuple[Scorer, ...], before: State
) -> tuple[Policy, TuningResult, dict[str, str | None]]:
    """The challenger, the point that was chosen, and which objective each feature serves."""
    of = settings()
    known = tuple(o for o in of.objective_tuple if o.source != "feedback")
    anchor = anchor_of(before.champion)
    matrix = feature_matrix(log.decisions, scorers, known)
    columns = feature_columns(scorers, known)
    standardiser = Standardiser.fit(columns, matrix)
    problem = tuning_problem(
        log,
        of.objective_tuple,
        columns,
        standardiser.apply(matrix),
        matrix,
        before.champion,
        anchor,
        floor=of.tuning.floor,
        weight_clip=of.tuning.weight_clip,
        horizon=tuple(n for n in of.learning.learners if LEARNERS[n].looks_ahead(of.learning)),
    )
    result = tune(problem, of.tuning, before.point, of.seed)
    policy = before.champion
    if result.moved:
        policy = challenger(anchor, scorers, known, standardiser, result, of.tuning.floor)
    return policy, result, dict(zip(columns, problem.serves, strict=True))


def _first_score(scorer: Scorer, decisions: Decisions, _: object) -> NDArray[np.float64]:
    return scorer.score(decisions)[:, 0]


def _greedy(
    sample: LearningSample, learned: Sequence[Scorer], tune_on: KnownLog, gate: KnownLog
) -> tuple[str, dict[str, NDArray[np.float64]]]:
    """The contender that the tune nights choose, and all greedy policies on the gate nights."""
    model, floor = sample.reward_model, settings().learning.floor
    star = north_star(tune_on.log.objectives).name
    served = {f"greedy {c.name}": fitted(c, sample) for c in heads(model.heads, star)}
    for scorer in learned:
        served[f"greedy {scorer.columns[0]}"] = partial(_first_score, scorer)
    on_tune = scores_of(model, tune_on.log.decisions, served)
    q = model.score(tune_on.log.decisions)[:, model.columns.index(star)]
    choice = choose_on(tune_on.log, on_tune, q, floor)
    on_gate = scores_of(model, gate.log.decisions, served)
    offsets = gate.log.decisions.offsets
    return choice.chosen, {n: greedy_with_floor(s, offsets, floor) for n, s in on_gate.items()}


def _rows(cells: Sequence[Sequence[Mapping[str, Any]]], judged: bool) -> list[Row]:
    star = north_star(settings().objective_tuple).name
    by_night = [Values.of(nights) for nights in zip(*cells, strict=True)]
    rows = []
    for k, values in enumerate(by_night):
        gate = ", ".join(cells[0][k]["gate"])
        for name in sorted(values.sums, key=values.mean, reverse=True):
            told = values.by_seed(name)
            note = f"{len(cells)} seeds, {told.min():.4f} to {told.max():.4f}"
            if name == CHALLENGER:
                note += "; " + "; ".join(_told(nights[k]["tuned"]) for nights in cells)
            if name == GREEDY:
                note += "; " + ", ".join(nights[k]["chosen"] for nights in cells)
            rows.append(
                Row(
                    f"judged {k + 1} (gate {gate}): true {star}, {name}",
                    values.mean(name),
                    note=note,
                )
            )
    own = _over_nights(by_night, CHALLENGER)
    for other in (ITEM_MEAN, TREES):
        less = own - _over_nights(by_night, other)
        rows.append(
            Row(
                f"mean over nights and seeds: {CHALLENGER} less {other}",
                float(less.mean()),
                bar="above 0",
                holds=bool(less.mean() > 0),
                note=f"by seed {less.mean(1).min():+.4f} to {less.mean(1).max():+.4f}",
            ).where(judged)
        )
    least = own - _over_nights(by_night, LOGGER)
    last = own[:, -1].mean() / _over_nights(by_night, GREEDY)[:, -1].mean()
    return [
        *rows,
        Row(
            f"least over nights and seeds: {CHALLENGER} less {LOGGER}",
            float(least.min()),
            bar=">= 0",
            holds=bool(least.min() >= 0),
        ).where(judged),
        Row(
            f"third judged night: {CHALLENGER} over {GREEDY}",
            float(last),
            bar=f">= {KEPT:g}",
            holds=bool(last >= KEPT),
        ).where(judged),
    ]


def _over_nights(by_night: Sequence[Values], policy: str) -> NDArray[np.float64]:
    """Value by seed and night."""
    return np.stack([values.by_seed(policy) for values in by_night], axis=1)


def _told(tuned: Mapping[str, Any]) -> str:
    largest = sorted(tuned["theta"].items(), key=lambda item: -abs(item[1]))[:3]
    theta = ", ".join(f"{name} {weight:.2f}" for name, weight in largest)
    return f"kappa {tuned['kappa']:.2f}, {theta}, {tuned['kl']:.2f} nats ({tuned['reason']})"
