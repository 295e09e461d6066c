"""Whether v_hat is the expectation of q_hat under the policy, as doubly robust estimates need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mrlm.ope.intervals import Estimate
from mrlm.ope.intervals.stream import Order, StreamState
from mrlm.ope.scores import Scores
from mrlm.ope.table.estimates.readings import Reading
from mrlm.ope.table.estimates.tuned_estimators import tuned_name
from mrlm.ope.verdict.certify import Certificate

# A right v_hat is refused once in 16,000 times, where its mean is about normal.
LIMIT = 4.0
_ROUNDING = 1e-6
_PLAIN = ("dr", "cascade_dr", "sequential_dr")
_TUNED = tuple(tuned_name(f) for f in ("switch_dr", "dr_os", "dr_ps"))
_NEED_BALANCE = (*_PLAIN, "sndr", "sn_sequential_dr", *_TUNED)

_Key = tuple[tuple[str, ...], str]


@dataclass
class Balance:
    """Running sums of v_hat less weight x q_hat, whose mean is 0 where v_hat is right.

    They are the doubly robust scores of rewards that are all 0: ``v + w (0 - q)``, and over slots
    and steps likewise. All rounds count, those of unknown reward too.

    Attributes:
        states: policies to the state of the mean.
    """

    states: dict[tuple[str, ...], StreamState] = field(default_factory=dict)

    def add(self, rounds: Iterable[Any], plan: Reading, order: Order) -> None:
        """One more batch of rounds under each policy; nothing where no estimator reads both."""
        if plan.doubly_robust is None or not any(
            _base(n) in _NEED_BALANCE for n in plan.estimators
        ):
            return
        for x in rounds:
            scores = plan.doubly_robust(replace(x, rewards=np.zeros_like(x.rewards)))
            scores = _without_rounding(scores, float(np.abs(x.v).mean()))
            state = self.states.get(scores.policies, StreamState())
            self.states[scores.policies] = state.add(scores, order)

    def reasons(self) -> dict[_Key, str]:
        """Policies and objective to the reason why their v_hat is not believed."""
        found = {}
        for policies, state in self.states.items():
            for objective, e in state.estimates().items():
                if abs(e.value) > LIMIT * e.standard_error:
                    found[policies, objective] = (
                        "the mean of weight x q_hat differs from the mean of v_hat by "
                        f"{-e.value:.3g}, its standard error is {e.standard_error:.2g}: v_hat is "
                        f"not the expectation of q_hat under the policy {policies[0]}"
                    )
        return found


def refuse_unbalanced(e: Estimate, reasons: Mapping[_Key, str]) -> Estimate:
    """The estimate, refused where it reads a v_hat that is not believed."""
    if _base(e.estimator) not in _NEED_BALANCE:
        return e
    mine = tuple(
        reason
        for (policies, objective), reason in reasons.items()
        if objective == e.objective and policies[0] in {d.policy for d in e.diagnostics}
    )
    if not mine:
        return e
    return replace(e, certificate=Certificate(False, (*mine, *e.certificate.reasons)))


def _base(name: str) -> str:
    """The name without the discount."""
    return name.partition(",")[0]


def _without_rounding(scores: Scores, scale: float) -> Scores:
    """The scores with 0 for what the digits of the table's numbers explain."""
    small = np.abs(scores.numerator) <= _ROUNDING * scale
    return replace(scores, numerator=np.where(small, 0.0, scores.numerator))
