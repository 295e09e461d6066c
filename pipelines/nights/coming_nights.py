"""Outlook of a night's evidence: the difference on the next night, and power."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.contract.context import NightContext
from pipelines.failures.errors import DamagedError, DataError
from pipelines.nights.completed import read_completed
from pipelines.nights.plan import Plan

if TYPE_CHECKING:
    from mrlm.evidence.night_lift import NightLift
    from mrlm.evidence.outlook import NextNight, Outlook
    from mrlm.evidence.scored_log import ScoredLog
    from mrlm.policies.contract import Policy, Scorer

# Earlier nights that tell how far the differences of nights spread: enough for a t quantile that
# says something, and few enough to read every night.
_EARLIER = 6


def outlook_nights(plan: Plan) -> list[str]:
    """Nights that the outlook reads, oldest first; none without a fresh gate night.

    All nights that the evidence is of, after the newest of those that are earlier: in a test of
    several nights tonight's tune nights may be nights of the test.
    """
    if not plan.gate:
        return []
    earlier = [n for n in (*plan.fit, *plan.tune) if n < plan.judged[0]]
    return [*earlier[-_EARLIER:], *plan.judged]


def outlook_lifts(
    context: NightContext,
    plan: Plan,
    challenger: Policy,
    champion: Policy,
    reward_model: Scorer,
    judged: ScoredLog,
) -> dict[str, NightLift]:
    """The challenger's lift over the champion on each of the outlook's nights, oldest first.

    What was said of the gate nights, which ``judged`` holds together, is not asked again.

    Nights on which nothing is known of the north star are left out. All carry the flag of estimated
    propensities where one has estimates: states with and without it do not merge. An earlier night
    that cannot be evaluated is left out; a gate night that cannot leaves no outlook.
    """
    from mrlm.behaviour.networks.threads import side_by_side
    from mrlm.evidence.night_lift import flagged_lifts, night_lift
    from mrlm.evidence.scored_log import scored_log

    gate = context.settings.gate
    policies = {"challenger": challenger, "champion": champion}

    def of_night(night: str) -> NightLift | Exception:
        try:
            log, found = read_completed(context, [night], judged.log.decisions.catalog)
            scored = judged.of(log) or scored_log(log, policies, reward_model)
            return night_lift(
                scored, "challenger", "champion", gate.estimator, estimated=found is not None
            )
        except DamagedError:
            raise
        except (DataError, ValueError, KeyError) as error:
            return error

    nights = outlook_nights(plan)
    lifts = {}
    for night, found in zip(nights, side_by_side(of_night, nights), strict=True):
        if isinstance(found, Exception):
            context.log("evaluate").warning("the outlook leaves out night %s: %s", night, found)
            if night in plan.judged:
                return {}
            continue
        state = found.state
        if state.rows[:, state.objectives.index(context.north_star.name)].any():
            lifts[night] = found
    return flagged_lifts(lifts, no_hidden_confounding=gate.allow_estimated_propensities)


def outlook(
    context: NightContext,
    plan: Plan,
    lifts: dict[str, NightLift],
    champion_value: float | None,
) -> Outlook | None:
    """What the evidence says beyond its gate nights, of the north star's difference.

    Args:
        context: of the night.
        plan: of the run.
        lifts: see ``outlook_lifts``.
        champion_value: in the north star, on the gate nights; None: unknown.
    """
    from mrlm.evidence.outlook import outlook_of
    from mrlm.ope.nights.group_sequential import error_of_a_test

    gate = context.settings.gate
    judged = {n: lifts[n] for n in plan.judged if n in lifts}
    return outlook_of(
        judged,
        _next_night(context, lifts, len(judged)) if judged else None,
        champion_value,
        gate.criteria(context.north_star.name),
        gains=gate.power_gains,
        error=error_of_a_test(gate.false_promotions, gate.test_nights, plan.earned),
    )


def _next_night(
    context: NightContext, lifts: dict[str, NightLift], judged: int
) -> NextNight | None:
    from mrlm.evidence.outlook import predicted_difference

    criteria = context.settings.gate.criteria(context.north_star.name)
    try:
        return predicted_difference(lifts, judged, criteria)
    except ValueError as error:
        context.log("evaluate").info("no prediction of the next night: %s", error)
        return None
