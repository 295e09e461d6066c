"""Outlook of a night's evidence: the difference on the next night, and power."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrlm.evidence.paired import marked, paired_state, thresholds
from pipelines.contract.context import NightContext
from pipelines.failures.errors import DamagedError, DataError
from pipelines.nights.completed import read_completed
from pipelines.nights.plan import Plan
from pipelines.stages.tune_weights import predictions

if TYPE_CHECKING:
    from mrlm.evidence.outlook import NextNight, Outlook, Power
    from mrlm.ope.state.state import EvaluationState
    from mrlm.policies.contract import Policy, Scorer

# Earlier nights that tell how far the differences of nights spread: enough for a t quantile that
# says something, and few enough to read every night.
_EARLIER = 6

# Chance with which a gain is to be seen, as is usual.
_CHANCE = 0.8


def outlook_nights(plan: Plan) -> list[str]:
    """Nights that the outlook reads, oldest first; none without a gate night."""
    return [*[*plan.fit, *plan.tune][-_EARLIER:], *plan.gate] if plan.gate else []


def outlook_states(
    context: NightContext, plan: Plan, challenger: Policy, champion: Policy, reward_model: Scorer
) -> dict[str, EvaluationState]:
    """The paired difference on each of the outlook's nights, by night, oldest first.

    Nights on which nothing is known of the north star are left out. All carry the flag of estimated
    propensities where one has estimates: states with and without it do not merge. An earlier night
    that cannot be evaluated is left out; a gate night that cannot leaves no outlook.
    """
    from mrlm.behaviour.threads import side_by_side

    def of_night(night: str) -> tuple[EvaluationState, bool] | Exception:
        try:
            log, estimated = read_completed(context, [night])
            q = predictions(log, context.objectives, reward_model)
            estimator = context.settings.gate.estimator
            return paired_state(log, challenger, champion, q, estimator), estimated is not None
        except DamagedError:
            raise
        except (DataError, ValueError, KeyError) as error:
            return error

    nights = outlook_nights(plan)
    states, flag = {}, False
    for night, found in zip(nights, side_by_side(of_night, nights), strict=True):
        if isinstance(found, Exception):
            context.log("evaluate").warning("the outlook leaves out night %s: %s", night, found)
            if night in plan.gate:
                return {}
            continue
        state, estimated = found
        if state.rows[:, state.objectives.index(context.north_star.name)].any():
            states[night] = state
            flag |= estimated
    return {n: marked(context, s) for n, s in states.items()} if flag else states


def outlook(
    context: NightContext,
    plan: Plan,
    states: dict[str, EvaluationState],
    champion_value: float | None,
) -> Outlook | None:
    """What the evidence says beyond its gate nights, of the north star's difference.

    The expected value rests on the gate nights alone. The challenger was chosen on the nights
    before them, so these only tell how far the differences of nights spread, about their own mean.

    Args:
        context: of the night.
        plan: of the run.
        states: see ``outlook_states``.
        champion_value: in the north star, on the gate nights; None: unknown.
    """
    from mrlm.evidence.outlook import Outlook
    from mrlm.ope.nights.tomorrow import two_way_variance
    from mrlm.ope.plain import finite

    gate = {n: states[n] for n in plan.gate if n in states}
    if not gate:
        return None
    star = next(iter(gate.values())).objectives.index(context.north_star.name)
    error = None
    if len(gate) > 1:
        error = finite(float(two_way_variance(gate)[star]) ** 0.5)
    return Outlook(
        two_way_standard_error=error,
        next_night=_next_night(context, states, len(gate)),
        power=_power(context, plan, gate, champion_value),
        error=_error(context, plan),
        chance=_CHANCE,
    )


def _next_night(
    context: NightContext, states: dict[str, EvaluationState], judged: int
) -> NextNight | None:
    from mrlm.evidence.outlook import NextNight
    from mrlm.ope.nights.tomorrow import next_night

    try:
        found = next_night(states, context.settings.gate.level, recent=judged)
    except ValueError as error:
        context.log("evaluate").info("no prediction of the next night: %s", error)
        return None
    return NextNight.of(found[context.north_star.name])


def _power(
    context: NightContext,
    plan: Plan,
    gate: dict[str, EvaluationState],
    champion_value: float | None,
) -> tuple[Power, ...]:
    from functools import reduce

    from mrlm.evidence.outlook import Power
    from mrlm.ope.intervals import estimates
    from mrlm.ope.nights.power import rows_for_gain

    if not champion_value or champion_value <= 0:
        return ()
    whole = reduce(lambda a, b: a.merge(b), gate.values())
    settings = context.settings.gate
    paired = estimates(whole, settings.level, thresholds(context))[context.north_star.name]
    if not paired.standard_error > 0:
        # The challenger is the champion: no number of rows would tell them apart.
        return ()
    found = []
    for share in settings.power_gains:
        gain = share * champion_value
        rows = rows_for_gain(paired, gain, _error(context, plan), _CHANCE)
        found.append(Power(share, gain, rows))
    return tuple(found)


def _error(context: NightContext, plan: Plan) -> float:
    from mrlm.ope.nights.spending import error_at

    return error_at(plan.look, context.settings.gate.false_promotions)
