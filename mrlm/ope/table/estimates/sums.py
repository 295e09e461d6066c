"""What one pass over a table adds up, and the estimates from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

from mrlm.ope.difference import difference
from mrlm.ope.intervals import Estimate
from mrlm.ope.intervals.stream import Order, StreamState
from mrlm.ope.table.estimates.balance import Balance, refuse_unbalanced
from mrlm.ope.table.estimates.histogram import WeightHistogram
from mrlm.ope.table.estimates.limits import check_states, state_bytes
from mrlm.ope.table.estimates.readings import Reading
from mrlm.ope.table.rounds.numbered import Numbered
from mrlm.ope.verdict.certify import Certificate, Thresholds

_Key = tuple[str, tuple[str, ...]]


@dataclass
class Sums:
    """The running sums of a pass.

    Attributes:
        states: estimator and policies to the state of the estimate.
        weights: policy to the histogram of the first estimator's weights.
        rows: rows read.
        balance: whether v_hat is the expectation of q_hat.
    """

    states: dict[_Key, StreamState] = field(default_factory=dict)
    weights: dict[str, WeightHistogram] = field(default_factory=dict)
    rows: int = 0
    balance: Balance = field(default_factory=Balance)

    def add(self, part: Numbered, plan: Reading, order: Order) -> None:
        """One more batch of rows.

        Raises:
            ValueError: a value is wrong, or the users are not in the order; the row is named.
        """
        rounds = plan.rounds(part)
        self.rows += part[1].num_rows
        self.balance.add(rounds, plan, order)
        for i, name in enumerate([*plan.estimators]):
            scores = plan.scores(name, rounds)
            if i == 0:
                for s in scores:
                    counted = WeightHistogram.of(s.weight[:, 0])
                    known = self.weights.get(s.policies[0])
                    self.weights[s.policies[0]] = counted if known is None else known.merge(counted)
            for s in [*scores, *(difference(a, b) for a, b in combinations(scores, 2))]:
                key = (name, s.policies)
                self.states[key] = self.states.get(key, StreamState()).add(s, order)
        self._check_size(plan.columns.unit)

    def _check_size(self, unit: str | None) -> None:
        bytes_ = users = 0
        for state in self.states.values():
            if state.open is not None:
                users, m, terms = state.open.numerator.shape
                bytes_ += state_bytes(users, m, terms, len(state.open.policies))
        check_states(bytes_, users, unit)

    def estimates(
        self, plan: Reading, level: float, thresholds: Thresholds | None
    ) -> tuple[tuple[Estimate, ...], tuple[Estimate, ...]]:
        """Estimates of the policies, and of their differences, in the order of tables."""
        columns = plan.columns
        unbalanced = self.balance.reasons()
        alone = [(p,) for p in columns.policies]
        found = {
            (policies, objective, name): refuse_unbalanced(e, unbalanced)
            for (name, policies), state in self.states.items()
            if name in plan.estimators
            for objective, e in state.estimates(level, thresholds).items()
        }
        for policy in alone:
            for objective in columns.objectives:
                for name, reason in plan.refused.items():
                    refused = _refused(policy[0], objective, name, reason, level)
                    found[policy, objective, name] = refused

        def ordered(policies: Sequence[tuple[str, ...]]) -> tuple[Estimate, ...]:
            keys = ((p, o, n) for p in policies for o in columns.objectives for n in plan.names)
            return tuple(found[key] for key in keys if key in found)

        return ordered(alone), ordered([*combinations(columns.policies, 2)])


def _refused(policy: str, objective: str, name: str, reason: str, level: float) -> Estimate:
    nan = math.nan
    return Estimate(
        policy=policy,
        objective=objective,
        estimator=name,
        value=nan,
        standard_error=nan,
        degrees_of_freedom=nan,
        skewness=nan,
        level=level,
        lower=nan,
        upper=nan,
        rows=0,
        users=0,
        certificate=Certificate(False, (reason,)),
        diagnostics=(),
    )
