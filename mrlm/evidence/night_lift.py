"""The lift of one policy over another on one night, with what unknown rewards could make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mrlm.evidence.paired import flagged_nights, paired_batches, state_of_pair
from mrlm.evidence.unknown_rewards import UnknownRewards

if TYPE_CHECKING:
    from mrlm.evidence.scored_log import ScoredLog
    from mrlm.ope.state.state import EvaluationState


@dataclass(frozen=True)
class NightLift:
    """The lift of one policy over another on one night.

    Attributes:
        state: paired difference of the two on what is known.
        estimated: whether a propensity of the night is an estimate.
        ends: the same where unknown and lost rewards are such that it is smallest, and largest;
            None where every reward that is not open is known.
    """

    state: EvaluationState
    estimated: bool = False
    ends: tuple[EvaluationState, EvaluationState] | None = None

    def seen(self) -> tuple[EvaluationState, EvaluationState, EvaluationState]:
        """As known, at its smallest and at its largest."""
        low, high = self.ends or (self.state, self.state)
        return self.state, low, high


def night_lift(
    scored: ScoredLog, first: str, second: str, estimator: str, *, estimated: bool = False
) -> NightLift:
    """The lift of the policy ``first`` over ``second`` on a night's log, without a flag.

    Args:
        scored: the log of one night, with every propensity, and both policies.
        first: a name among its policies.
        second: of the one whose value is taken off.
        estimator: name in ``mrlm.ope.registry.ESTIMATORS``.
        estimated: whether a propensity of the night is an estimate.

    Raises:
        KeyError: no such estimator or policy.
        ValueError: a propensity is missing, or the estimator needs predictions and there are none.
    """
    one, other = paired_batches(scored, first, second)
    state = state_of_pair(one, other, estimator)
    unknown = UnknownRewards.of(scored.log)
    if unknown is None:
        return NightLift(state, estimated)
    worst = (unknown.at_worst(one.weight - other.weight, side) for side in (-1, 1))
    low, high = (
        state_of_pair(replace(one, rewards=r), replace(other, rewards=r), estimator) for r in worst
    )
    return NightLift(state, estimated, (low, high))


def flagged_lifts(
    nights: Mapping[str, NightLift], *, no_hidden_confounding: bool
) -> dict[str, NightLift]:
    """The nights with the flag of estimated propensities on all of them, or on none.

    All carry it where one has estimates: states with and without it do not merge.

    Args:
        nights: ISO date to the lift on it.
        no_hidden_confounding: see ``mrlm.ope.propensity.flagged``.
    """
    estimated = any(found.estimated for found in nights.values())
    plain, low, high = (
        flagged_nights(
            {night: found.seen()[which] for night, found in nights.items()},
            estimated=estimated,
            no_hidden_confounding=no_hidden_confounding,
        )
        for which in range(3)
    )
    return {
        night: replace(
            found, state=plain[night], ends=(low[night], high[night]) if found.ends else None
        )
        for night, found in nights.items()
    }
