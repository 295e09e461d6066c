"""Every policy's estimates on the judged decisions, and the challenger's paired differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mrlm.evidence.criteria import Criteria
from mrlm.evidence.exposure_change import exposure_change, sampled_decisions
from mrlm.evidence.groups import group_differences
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.evidence.propensities import estimated_report
from mrlm.evidence.support import support
from mrlm.evidence.unknown_rewards import UnknownRewards
from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.difference import difference
from mrlm.ope.intervals import estimates
from mrlm.ope.logging_policy import logger_scores
from mrlm.ope.nights.mixtures import variance_weighted
from mrlm.ope.propensity import flagged
from mrlm.ope.registry import ESTIMATORS
from mrlm.ope.scores import Scores
from mrlm.ope.state.state import EvaluationState
from mrlm.ope.verdict.diagnostics import diagnostics

if TYPE_CHECKING:
    from mrlm.bandit_log import BanditLog
    from mrlm.ope.propensity import EstimatedPropensities

Probabilities = Mapping[str, NDArray[np.float64]]
"""Policy name to the probability of every candidate, float64, shape (N,)."""

# Weights of the histogram: its bins, and the weight that the last one holds and all above it.
_BINS, _LARGEST = 40, 20.0


def policy_estimates(
    log: BanditLog,
    policies: Probabilities,
    q: NDArray[np.float64] | None,
    estimated: EstimatedPropensities | None,
    criteria: Criteria,
    least_users: int = 1,
    baselines: Probabilities | None = None,
    anchor: NDArray[np.float64] | None = None,
) -> dict[str, Any]:
    """What the judged decisions say of every policy, by the names of the fields of ``Evidence``.

    The logger is a policy too, whoever made each row: its value is that of what was shown. Where
    several policies made the rows, the estimator that is judged is also given with each logger's
    rows weighed by their precision, beside the pooled estimate that the gate takes. Baselines are
    estimated by the one that is judged alone.

    Args:
        log: n decisions with N candidates and every propensity.
        policies: ``challenger``, ``champion`` and any others.
        q: predicted rewards, float64, shape (N, m); None without a reward model.
        estimated: what is known of estimated propensities; None: all were logged.
        criteria: of the estimates.
        least_users: of a group whose support is told.
        baselines: simple policies that the challenger is compared with too.
        anchor: probability of every candidate under the anchor, shape (N,); None: it is not asked.

    Returns:
        ``policies``, ``differences``, ``logger_differences``, ``diagnostics``, ``support``,
        ``groups``, ``exposure``,
        ``baseline_differences`` where there are baselines, ``propensities`` where any is an
        estimate, and ``reward_states`` where a reward is unknown: every estimate then says what
        that could change. Where there is an anchor, ``anchor_differences`` too, which is no field:
        objective to challenger - anchor.

    Raises:
        KeyError: there is no challenger or champion.
        ValueError: the log, the probabilities or the predictions do not fit together.
    """
    batch = EvaluationBatch.from_log(log, policies["challenger"], q, "challenger")
    found: dict[str, Any] = {}
    # What the logger never shows is not known where its propensities are estimates.
    logged = batch if estimated is None else replace(batch, candidate_propensity=None)
    found["support"] = support(log, logged, least_users)
    if estimated is not None:
        found["propensities"] = "estimated"
        found["support"]["estimated_propensities"] = estimated_report(batch, estimated)
    simple = baselines or {}
    alone = {**simple, **({} if anchor is None else {"anchor": anchor})}
    batches = {p: batch.with_target(target, p) for p, target in {**policies, **alone}.items()}
    batches["logger"] = logged
    estimators = {p: list(ESTIMATORS) for p in (*policies, "logger")}
    estimators |= {p: [criteria.estimator] for p in alone}

    def scored(policy: str, name: str, rewards: NDArray[np.float64] | None = None) -> Scores:
        """Scores of a policy, of other rewards than the log's where they are given."""
        own = batches[policy]
        own = own if rewards is None else replace(own, rewards=rewards)
        estimator = ESTIMATORS[name]
        return logger_scores(own, estimator) if policy == "logger" else estimator(own)

    plain_scores = {(p, name): scored(p, name) for p, own in estimators.items() for name in own}
    scores = {key: _marked(s, estimated, criteria) for key, s in plain_scores.items()}
    unknown = UnknownRewards.of(log)
    weights = {p: own.weight for p, own in batches.items()} | {"logger": np.ones(len(log))}
    # The worst rewards are those of a pair of policies, whatever estimates them.
    extremes: dict[tuple[str, str], list[NDArray[np.float64]]] = {}

    def estimated_from(
        name: str,
        policy: str,
        rival: str = "",
        then: Callable[[Scores], Scores] = _as_it_is,
        among: NDArray[np.bool_] | None = None,
        level: float = criteria.level,
    ) -> dict[str, PolicyEstimate]:
        """Estimates of a policy, or of its difference to a rival, with what is unknown.

        ``among`` are the decisions that count, True for each; None: all.
        """
        pair = [policy, *([rival] if rival else [])]

        def combined(of: Mapping[str, Scores]) -> Scores:
            found = difference(of[policy], of[rival]) if rival else of[policy]
            return then(found if among is None else found.take(among))

        by = replace(criteria, level=level)
        plain = _estimates(combined({p: scores[p, name] for p in pair}), by)
        if unknown is None:
            return plain
        coefficient = weights[policy] - (weights[rival] if rival else 0.0)
        worst_rewards = extremes.get((policy, rival)) if among is None else None
        if worst_rewards is None:
            # Whatever is lost may have been lost in this group.
            own = coefficient if among is None else coefficient * among
            worst_rewards = [unknown.at_worst(own, side) for side in (-1, 1)]
        if among is None:
            extremes[policy, rival] = worst_rewards
        ends = []
        for rewards in worst_rewards:
            worst = {p: _marked(scored(p, name, rewards), estimated, criteria) for p in pair}
            ends.append(_estimates(combined(worst), by))
        return {o: plain[o].widened(ends[0][o], ends[1][o]) for o in plain}

    if unknown is not None:
        found["reward_states"] = unknown.counts(log.objectives)
    found["policies"] = {
        policy: {name: estimated_from(name, policy) for name in own}
        for policy, own in estimators.items()
    }
    found["diagnostics"] = {
        policy: _diagnostics(plain_scores[policy, "ips"], criteria.north_star)
        for policy in (*policies, "logger")
    }
    found["differences"], found["logger_differences"] = {}, {}
    for name in ESTIMATORS:
        found["logger_differences"][name] = estimated_from(name, "challenger", "logger")
        found["differences"][name] = estimated_from(name, "challenger", "champion")
        if "loggers" in found["support"] and name == criteria.estimator:
            weigh = partial(variance_weighted, logger=log.policy_id, objective=criteria.north_star)
            weighed = weigh(difference(scores["challenger", name], scores["champion", name]))
            found["differences"][weighed.estimator] = estimated_from(
                name, "challenger", "champion", weigh
            )
    if simple:
        found["baseline_differences"] = {
            name: estimated_from(criteria.estimator, "challenger", name) for name in simple
        }
    found["groups"] = group_differences(
        log,
        least_users,
        criteria.level,
        lambda among, level: estimated_from(
            criteria.estimator, "challenger", "champion", among=among, level=level
        ),
    )
    pair = policies["challenger"], policies["champion"]
    found["exposure"] = {
        **exposure_change(log, *pair, least_users),
        "sampled": sampled_decisions(log, *pair, least_users),
    }
    if anchor is not None:
        found["anchor_differences"] = estimated_from(criteria.estimator, "challenger", "anchor")
    return found


def decisions_table(log: BanditLog, policies: Probabilities) -> pa.Table:
    """Each judged decision with its candidates and the policies' probabilities of them.

    Returns:
        Columns ``decision_id``, ``night``, ``candidates`` and one of each policy, ragged like
        ``candidates``; no rows without a policy.
    """
    offsets = pa.array(log.decisions.offsets, pa.int32())
    items = log.decisions.catalog.item_id[log.decisions.candidates.values]
    columns = {
        "decision_id": pa.array(log.decision_id, pa.string()),
        "night": pa.array(log.night.astype("datetime64[D]"), pa.date32()),
        "candidates": pa.ListArray.from_arrays(offsets, pa.array(items, pa.string())),
    }
    for name, probability in policies.items():
        columns[name] = pa.ListArray.from_arrays(offsets, pa.array(probability))
    table = pa.table(columns)
    return table if policies else table.slice(0, 0)


def _as_it_is(scores: Scores) -> Scores:
    return scores


def _marked(scores: Scores, estimated: EstimatedPropensities | None, criteria: Criteria) -> Scores:
    return scores if estimated is None else flagged(scores, criteria.no_hidden_confounding)


def _estimates(scores: Scores, criteria: Criteria) -> dict[str, PolicyEstimate]:
    found = estimates(EvaluationState.of(scores), criteria.level, criteria.thresholds)
    return {name: PolicyEstimate.of(e) for name, e in found.items()}


def _diagnostics(scores: Scores, north_star: str) -> dict[str, Any]:
    counts, edges = np.histogram(np.minimum(scores.weight[:, 0], _LARGEST), bins=_BINS)
    return {
        **diagnostics(EvaluationState.of(scores))[north_star][0].to_json(),
        "weight_histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
    }
