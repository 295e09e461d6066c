"""What a promotion promised, against what each night since brings: the look that hindcast takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mrlm.evidence.criteria import Criteria
from mrlm.evidence.followed_promotions import PromotionHindcast
from mrlm.evidence.night_lift import NightLift, night_lift
from mrlm.evidence.outlook import Outlook
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.evidence.scored_log import ScoredLog, scored_log

if TYPE_CHECKING:
    from mrlm.bandit_log import BanditLog
    from mrlm.ope.nights.hindcast import FollowUp, Lift, Promotion
    from mrlm.ope.state.state import EvaluationState
    from mrlm.policies.contract import Policy, Scorer


@dataclass(frozen=True)
class Promise:
    """A promotion and the lift that its evidence predicted.

    Attributes:
        version: registry version that was promoted.
        replaced: the champion before it.
        run_key: of the night that promoted it.
        test_nights: gate nights that it was judged on.
        level: one-sided level at which the gate tested it.
        predicted: paired difference in the north star on its gate nights.
        served_as: the log's name of its policy where the server wrote the log; "": none.
        with_nights: ``predicted`` with the luck of its nights in its error; None: nobody knows it.
    """

    version: int
    replaced: int
    run_key: str
    test_nights: int
    level: float
    predicted: PolicyEstimate
    served_as: str = ""
    with_nights: PolicyEstimate | None = None


def predicted_with_nights(
    predicted: PolicyEstimate, outlook: Outlook | None
) -> PolicyEstimate | None:
    """A predicted lift with the luck of its nights in its error; None where nobody knows it.

    Its own error is that of users alone. Nights that were not the promise's differ from those that
    were by their own luck too, which would else pass for a shortfall.
    """
    night = None if outlook is None else outlook.next_night
    own, freedom = predicted.standard_error, predicted.degrees_of_freedom
    if night is None or own is None or not freedom:
        return None
    return replace(
        predicted,
        standard_error=max(own, night.standard_error),
        degrees_of_freedom=min(freedom, night.degrees_of_freedom),
    )


def lift_on_night(
    log: BanditLog,
    promoted: Policy,
    replaced: Policy,
    reward_model: Scorer | None,
    criteria: Criteria,
    *,
    estimated: bool = False,
    served_as: str = "",
) -> NightLift:
    """Paired difference, in the north star, of a promoted version and the one that it replaced.

    Both are evaluated from the log, whoever made it. Doubly robust needs a model that has not seen
    the night; without one, self-normalised weights estimate the same lift. Other objectives are
    left out: an old model need not know them. On decisions that the promoted version served itself
    its probabilities are those that it served with, so its part is its live reward, whatever it was
    meant to do.

    Args:
        log: of one night, with every propensity.
        promoted: the policy that was promoted.
        replaced: the champion before it.
        reward_model: of the promotion's own time; None: it is gone.
        criteria: of the estimate.
        estimated: whether a propensity of the night is an estimate.
        served_as: the log's name of the promoted version; "": it serves nobody.

    Raises:
        KeyError: the model does not know the north star.
        ValueError: the log or the policies do not fit the estimator.
    """
    own = north_star_alone(log, criteria.north_star)
    scored = scored_log(own, {"promoted": promoted, "replaced": replaced}, reward_model)
    if served_as:
        scored = _as_served(scored, "promoted", served_as)
    estimator = "snips" if reward_model is None else criteria.estimator
    return night_lift(scored, "promoted", "replaced", estimator, estimated=estimated)


def _as_served(scored: ScoredLog, name: str, policy_id: str) -> ScoredLog:
    """The same with a policy's probabilities on its own decisions as it served them."""
    log = scored.log
    per_decision = np.diff(log.decisions.offsets)
    own = np.repeat(log.policy_id == policy_id, per_decision) & np.isfinite(
        log.candidate_propensity
    )
    served = np.where(own, log.candidate_propensity, scored.probabilities[name])
    return replace(scored, probabilities={**scored.probabilities, name: served})


def north_star_alone(log: BanditLog, north_star: str) -> BanditLog:
    """The log with the north star as its only objective.

    Raises:
        KeyError: the log does not have it.
    """
    star = log.column(north_star)
    only = slice(star, star + 1)
    return replace(
        log,
        objectives=log.objectives[only],
        rewards=log.rewards[:, only],
        final=log.final[:, only],
        unknown=log.unknown[:, only],
        lost=log.lost[:, only],
        own=None if log.own is None else log.own.columns(only),
    )


def judge_promise(
    promise: Promise,
    nights: Mapping[str, NightLift],
    criteria: Criteria,
    *,
    false_alarms: float,
    horizon: int,
) -> tuple[PromotionHindcast, Promotion]:
    """The verdict of looks at one night, at two, and so on.

    A look carries the flag of estimated propensities where one of its own nights has estimates: a
    later night does not change what an earlier look found. A night on which nothing is known of
    the north star is no look. Where rewards are unknown, an alarm is raised only if the lift falls
    short whatever they are, and the promise is kept within both errors if it is for any of them.

    Args:
        promise: what is judged.
        nights: ISO date to the lift on it, in the order of the looks.
        criteria: of the estimates.
        false_alarms: bound on any false alarm in 365 nights.
        horizon: most nights that are followed.

    Returns:
        What evidence keeps, and the last look, for the calibration over promotions.

    Raises:
        ValueError: no value can be had.
    """
    from mrlm.ope.nights.hindcast import judge_over_nights

    known_of = {night: found for night, found in nights.items() if found.state.rows.any()}
    plain, realised = _looks(promise, known_of, criteria, 0)
    low, lowest = high, highest = plain, realised
    if any(found.ends for found in known_of.values()):
        low, lowest = _looks(promise, known_of, criteria, 1)
        high, highest = _looks(promise, known_of, criteria, 2)
    if realised is None or lowest is None or highest is None or not (plain and low and high):
        raise ValueError("no value can be had")
    verdict, at_least, at_most = (
        judge_over_nights(
            found, promise.test_nights, horizon, error=false_alarms, level=criteria.level
        )
        for found in (plain, low, high)
    )
    told = PromotionHindcast.of(
        _whatever_is_unknown(verdict, at_least, at_most),
        promise.replaced,
        promise.run_key,
        tuple(nights),
        promise.predicted,
        realised.widened(lowest, highest),
    )
    return told, plain[-1]


def _looks(
    promise: Promise, nights: Mapping[str, NightLift], criteria: Criteria, which: int
) -> tuple[list[Promotion], PolicyEstimate | None]:
    """The looks that have a value, none if the last has not, and the last one's estimate.

    ``which`` of what each night may have seen, see ``NightLift.seen``.
    """
    from mrlm.evidence.paired import flagged_nights
    from mrlm.ope.nights.realised import over_nights

    looks: list[Promotion | None] = []
    realised: PolicyEstimate | None = None
    so_far: dict[str, EvaluationState] = {}
    estimated = False
    for night, found in nights.items():
        so_far[night] = found.seen()[which]
        estimated |= found.estimated
        seen = flagged_nights(
            so_far, estimated=estimated, no_hidden_confounding=criteria.no_hidden_confounding
        )
        whole = over_nights(seen, criteria.level, criteria.thresholds)[criteria.north_star]
        realised = PolicyEstimate.of(whole)
        looks.append(_look(promise, realised, tuple(so_far)))
    if not looks or looks[-1] is None:
        return [], realised
    return [look for look in looks if look is not None], realised


def _whatever_is_unknown(known: FollowUp, low: FollowUp, high: FollowUp) -> FollowUp:
    """The verdict on what is known, where the lift may lie anywhere from ``low`` to ``high``."""
    between = low.realised <= known.predicted <= high.realised
    covered = between or known.covered or low.covered or high.covered
    if not known.alarm or high.alarm:
        return replace(known, covered=covered)
    return replace(
        known,
        covered=covered,
        alarm=False,
        roll_back=False,
        reason=f"version {known.version}: its lift of {known.realised:+.4g} falls short of "
        f"{known.predicted:+.4g}, but with rewards that were not delivered it may be "
        f"{high.realised:+.4g}",
    )


def _look(promise: Promise, realised: PolicyEstimate, nights: tuple[str, ...]) -> Promotion | None:
    from mrlm.ope.nights.hindcast import Promotion

    predicted, brought = _lift(promise.predicted), _lift(realised)
    if predicted is None or brought is None:
        return None
    return Promotion(
        version=promise.version,
        run_key=promise.run_key,
        predicted=predicted,
        predicted_level=promise.level,
        realised=brought,
        realised_nights=nights,
        promise=None if promise.with_nights is None else _lift(promise.with_nights),
    )


def _lift(e: PolicyEstimate) -> Lift | None:
    from mrlm.ope.nights.hindcast import Lift

    if e.value is None or e.standard_error is None or not e.degrees_of_freedom:
        return None
    return Lift(e.value, e.standard_error, e.degrees_of_freedom, e.skewness, e.certified)
