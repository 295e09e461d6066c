"""Every policy's estimates on the judged decisions, and the challenger's paired differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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
from mrlm.evidence.scored_policies import ScoredPolicies
from mrlm.evidence.support import support
from mrlm.evidence.trial_night import told_by_trial_night
from mrlm.evidence.unknown_rewards import UnknownRewards
from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.difference import difference
from mrlm.ope.nights.mixtures import divergence, divergence_weighted, variance_weighted
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
    rows weighed by their precision, beside the pooled estimate that the gate takes. Where the
    criteria say so the gate takes rows that are weighed by their logger's divergence from the pair.
    Baselines are
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
        estimate, ``trial_night`` where challengers have trials, and ``reward_states`` where a
        reward is unknown: every estimate then says what that could change. Where there is an
        anchor, ``anchor_differences`` too, which is no field: objective to challenger - anchor.

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
    unknown = UnknownRewards.of(log)
    if unknown is not None:
        found["reward_states"] = unknown.counts(log.objectives)
    usual = np.array([o.usual for o in log.objectives])
    scored = ScoredPolicies(batches, unknown, estimated, criteria, usual)
    asked = {p: list(ESTIMATORS) for p in (*policies, "logger")}
    asked |= {p: [criteria.estimator] for p in alone}
    found["policies"] = {
        policy: {name: scored.estimates(name, policy) for name in names}
        for policy, names in asked.items()
    }
    found["diagnostics"] = {
        policy: _diagnostics(scored.plain(policy, "ips"), criteria.north_star)
        for policy in (*policies, "logger")
    }
    found["logger_differences"] = {
        name: scored.estimates(name, "challenger", "logger") for name in ESTIMATORS
    }
    found["differences"] = {
        name: scored.estimates(name, "challenger", "champion") for name in ESTIMATORS
    }
    several = "loggers" in found["support"]
    judged = _Judged(log, scored, criteria, by_precision=several and criteria.by_precision)
    if several:
        weigh = partial(variance_weighted, logger=log.policy_id, objective=criteria.north_star)
        pair = (scored.scores(p, criteria.estimator) for p in ("challenger", "champion"))
        weighed = scored.estimates(criteria.estimator, "challenger", "champion", weigh)
        found["differences"][weigh(difference(*pair)).estimator] = weighed
    if judged.by_precision:
        for policy in asked:
            found["policies"][policy][criteria.estimator] = judged.value(policy)
        found["differences"][criteria.estimator] = judged.difference("champion")
        found["logger_differences"][criteria.estimator] = judged.difference("logger")
    if simple:
        found["baseline_differences"] = {name: judged.difference(name) for name in simple}
    found["groups"] = group_differences(
        log, least_users, criteria.level, partial(judged.difference, "champion")
    )
    both = policies["challenger"], policies["champion"]
    if criteria.trial_share:
        found["trial_night"] = told_by_trial_night(log, logged, both[1], criteria.trial_share)
    found["exposure"] = {
        **exposure_change(log, *both, least_users),
        "sampled": sampled_decisions(log, *both, least_users),
    }
    if anchor is not None:
        found["anchor_differences"] = judged.difference("anchor")
    return found


@dataclass(frozen=True)
class _Judged:
    """The challenger's differences by the estimator that is judged.

    Attributes:
        log: n decisions.
        scored: the policies on them.
        criteria: of the estimates.
        by_precision: whether each logger's rows are weighed by their precision.
    """

    log: BanditLog
    scored: ScoredPolicies
    criteria: Criteria
    by_precision: bool

    def value(self, policy: str) -> dict[str, PolicyEstimate]:
        """Objective to a policy's value, each logger's rows weighed as in the pair's difference.

        What the pair is certified by is then the same: a narrow night that hardly counts in the
        difference keeps nobody from being certified. Whoever is shown beside them is weighed so
        too, the logger as well: nights differ in what any policy brings, and values of other shares
        would show that for a difference of policies. Where the shares are not known before the
        rewards, all rows count alike: each policy's own rewards would give it shares of its own.
        """
        apart = self._apart("champion")
        if apart is None:
            return self.scored.estimates(self.criteria.estimator, policy)
        weigh = partial(divergence_weighted, logger=self.log.policy_id, divergence=apart)
        return self.scored.estimates(self.criteria.estimator, policy, then=weigh)

    def difference(
        self, rival: str, among: NDArray[np.bool_] | None = None, level: float | None = None
    ) -> dict[str, PolicyEstimate]:
        """Objective to challenger - rival, of all decisions or of some; see ``estimates``."""
        name = self.criteria.estimator
        if not self.by_precision:
            return self.scored.estimates(name, "challenger", rival, among=among, level=level)
        weigh = self._weigh(rival, among)
        return self.scored.estimates(name, "challenger", rival, weigh, among, level)

    def _weigh(self, rival: str, among: NDArray[np.bool_] | None) -> Callable[[Scores], Scores]:
        """By what each logger can tell of the pair; by rewards where that is not known."""
        apart, logger = self._apart(rival), self.log.policy_id
        if among is not None:
            logger, apart = logger[among], None if apart is None else apart[among]
        if apart is not None:
            return partial(divergence_weighted, logger=logger, divergence=apart)
        return partial(variance_weighted, logger=logger, objective=self.criteria.north_star)

    def _apart(self, rival: str) -> NDArray[np.float64] | None:
        """How far the challenger and a rival lie from each row's logger; see ``divergence``."""
        own = self.scored.batches["challenger"]
        logged = own.candidate_propensity
        target = logged if rival == "logger" else self.scored.batches[rival].target
        return None if target is None else divergence(own, target)


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


def _diagnostics(scores: Scores, north_star: str) -> dict[str, Any]:
    return {
        **diagnostics(EvaluationState.of(scores))[north_star][0].to_json(),
        "weight_histogram": _histogram(np.minimum(scores.weight[:, 0], _LARGEST)),
    }


def _histogram(weight: NDArray[np.float64]) -> dict[str, list[float]]:
    """Edges and counts; weights that only rounding tells apart lie in one bin around them."""
    low, high = (weight.min(), weight.max()) if len(weight) else (0.0, 1.0)
    around = (low - 0.5, low + 0.5) if high - low < 1e-9 else (low, high)
    counts, edges = np.histogram(weight, bins=_BINS, range=around)
    return {"edges": edges.tolist(), "counts": counts.tolist()}
