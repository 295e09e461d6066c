"""Hindcast of a night: what earlier promotions promised, against what the nights since brought."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mrlm.evidence.paired import marked, paired_state, thresholds
from pipelines.contract.context import NightContext
from pipelines.failures.errors import DamagedError, DataError
from pipelines.nights.completed import read_completed
from pipelines.nights.followed import Followed, load_followed
from pipelines.nights.judged import judged_evidence
from pipelines.nights.lake import log_fingerprints
from pipelines.nights.plan import Plan
from pipelines.stages.tune_weights import predictions

if TYPE_CHECKING:
    from mrlm.bandit_log import BanditLog
    from mrlm.evidence.estimate import PolicyEstimate
    from mrlm.ope.nights.hindcast import Lift, Promotion
    from mrlm.ope.state.state import EvaluationState
    from mrlm.promotion.record.followed_nights import Hindcast, PromotionHindcast
    from mrlm.promotion.record.ledger import Entry

# What keeps one promotion from being followed, and must not stop the night: a policy, a model or a
# log that does not fit tonight's settings or data. Not damage: an alarm that nobody could raise
# would let the gate promote, and what is damaged can be made again.
_UNFOLLOWED = (DataError, FileNotFoundError, ValueError, KeyError)

# Night to the paired state and whether propensities were estimated, in the order of the looks.
_Nights = dict[str, "tuple[EvaluationState, bool]"]


def _why(entry: Entry, error: Exception) -> str:
    said = f"nothing is known of {error}" if isinstance(error, KeyError) else str(error)
    return f"version {entry.version} ({entry.run_key}): {said}"


def hindcast_inputs(context: NightContext, plan: Plan) -> dict[str, str]:
    """Fingerprints of the logs, reward models and earlier evidence that hindcast reads."""
    found = log_fingerprints(context, sorted({n for ns in plan.hindcast.values() for n in ns}))
    for run_key, nights in plan.hindcast.items():
        manifest = context.run("learn_behaviour", run_key).manifest()
        model = manifest.outputs["reward_model"].fingerprint if manifest else "none"
        found[f"hindcast/{run_key}"] = f"{','.join(nights)} {model}"
    if plan.alarms_from:
        before = judged_evidence(context, plan.alarms_from)
        told = before.fingerprint() if before is not None else "none"
        found["hindcast/alarms"] = f"{plan.alarms_from} {told}"
    return found


def hindcast(context: NightContext, plan: Plan) -> Hindcast | None:
    """Judge every promotion that the plan follows; alarms go to the log.

    The champion's alarm of an earlier night stays (``carry_alarm``), by the evidence of the newest
    judged run. It does not where all that evidence is gone, or where it is of another north star.
    """
    from mrlm.promotion.record.followed_nights import carry_alarm

    found = _follow(context, plan)
    if plan.alarms_from:
        before = judged_evidence(context, plan.alarms_from)
        if before is not None and before.north_star == context.north_star.name:
            found = carry_alarm(found, before.hindcast, plan.champion)
    log = context.log("evaluate")
    for p in found.promotions if found is not None else ():
        (log.error if p.alarm else log.info)("hindcast: %s", p.reason)
    return found


def _follow(context: NightContext, plan: Plan) -> Hindcast | None:
    """What the nights since say of each promotion of the plan.

    The lift is the promoted version less the champion that it replaced, on the logged decisions of
    the nights since: both are evaluated from the log, whoever made it.
    """
    from mrlm.ope.nights.hindcast import calibration
    from mrlm.promotion.record.followed_nights import Hindcast, HindcastCalibration, promotions

    if not plan.hindcast:
        return None
    log = context.log("evaluate")
    followed: list[Followed] = []
    left_out: list[str] = []
    entries = context.registry.ledger.entries()
    for number, entry in enumerate(promotions(entries), start=1):
        if entry.run_key in plan.hindcast:
            try:
                followed.append(load_followed(context, entry, number, entries))
            except DamagedError:
                raise
            except _UNFOLLOWED as error:
                left_out.append(_why(entry, error))
                log.warning("hindcast leaves out %s", left_out[-1])
    judged, lifts = [], []
    states = _states(context, plan, followed)
    for f in followed:
        try:
            found = _judge(context, f, states[f.number])
        except _UNFOLLOWED as error:
            left_out.append(_why(f.entry, error))
            log.warning("hindcast leaves out %s", left_out[-1])
            continue
        judged.append(found[0])
        lifts.append(found[1])
    return Hindcast(
        promotions=tuple(judged),
        calibration=HindcastCalibration.of(calibration(lifts, context.settings.gate.level)),
        left_out=tuple(left_out),
    )


def _states(
    context: NightContext, plan: Plan, followed: list[Followed]
) -> dict[int, _Nights | Exception]:
    """Each promotion's nights, or why it cannot be followed; every night's log is read once."""
    from mrlm.behaviour.threads import side_by_side

    def of_night(night: str) -> dict[int, tuple[EvaluationState, bool] | Exception]:
        here = [f for f in followed if night in plan.hindcast[f.entry.run_key]]
        try:
            log, estimated = read_completed(context, [night])
        except DamagedError:
            raise
        except _UNFOLLOWED as error:
            return {f.number: error for f in here}
        log = _north_star_alone(context, log)
        return {f.number: _night_state(context, f, log, estimated is not None) for f in here}

    found: dict[int, _Nights | Exception] = {f.number: {} for f in followed}
    nights_read = sorted({n for f in followed for n in plan.hindcast[f.entry.run_key]})
    for night, states in zip(nights_read, side_by_side(of_night, nights_read), strict=True):
        for number, state in states.items():
            so_far = found[number]
            if isinstance(state, Exception):
                found[number] = so_far if isinstance(so_far, Exception) else state
            elif not isinstance(so_far, Exception):
                so_far[night] = state
    for f in followed:
        nights = found[f.number]
        if not isinstance(nights, Exception):
            # Looks come in the order of the plan.
            found[f.number] = {n: nights[n] for n in plan.hindcast[f.entry.run_key]}
    return found


def _north_star_alone(context: NightContext, log: BanditLog) -> BanditLog:
    """The log with the north star as its only objective: an old model need not know the others."""
    star = [o.name for o in log.objectives].index(context.north_star.name)
    only = slice(star, star + 1)
    return replace(
        log,
        objectives=log.objectives[only],
        rewards=log.rewards[:, only],
        final=log.final[:, only],
    )


def _night_state(
    context: NightContext, f: Followed, log: BanditLog, estimated: bool
) -> tuple[EvaluationState, bool] | Exception:
    """Paired state of the promoted version less the champion of the time on one night."""
    q, estimator = None, "snips"
    try:
        # Doubly robust needs a model; without, self-normalised weights estimate the same lift.
        if f.reward_model is not None:
            q = predictions(log, log.objectives, f.reward_model)
            estimator = context.settings.gate.estimator
        return paired_state(log, f.policy, f.replaced, q, estimator), estimated
    except _UNFOLLOWED as error:
        return error


def _judge(
    context: NightContext, f: Followed, nights: _Nights | Exception
) -> tuple[PromotionHindcast, Promotion]:
    """The verdict of looks at one night, at two, and so on.

    A look carries the flag of estimated propensities where one of its own nights has estimates: a
    later night does not change what an earlier look found.

    Raises:
        DataError: no value can be had.
    """
    from mrlm.evidence.estimate import PolicyEstimate
    from mrlm.ope.nights.hindcast import judge_over_nights
    from mrlm.ope.nights.realised import over_nights
    from mrlm.promotion.record.followed_nights import PromotionHindcast

    if isinstance(nights, Exception):
        raise nights
    gate, star = context.settings.gate, context.north_star.name
    looks, realised, so_far, flag = [], None, {}, False
    for night, (state, estimated) in nights.items():
        if not state.rows.any():
            # Nothing is known of the north star: no look.
            continue
        so_far[night] = state
        flag |= estimated
        seen = {n: marked(context, s) for n, s in so_far.items()} if flag else so_far
        realised = PolicyEstimate.of(over_nights(seen, gate.level, thresholds(context))[star])
        looks.append(_promotion(f, realised, tuple(so_far)))
    known = [look for look in looks if look is not None]
    if realised is None or not known or looks[-1] is None:
        raise DataError("no value can be had")
    verdict = judge_over_nights(known, f.number, gate.false_alarms, gate.level)
    return PromotionHindcast.of(verdict, f.entry, tuple(nights), f.predicted, realised), known[-1]


def _promotion(f: Followed, realised: PolicyEstimate, nights: tuple[str, ...]) -> Promotion | None:
    from mrlm.ope.nights.hindcast import Promotion

    predicted, brought = _lift(f.predicted), _lift(realised)
    if predicted is None or brought is None:
        return None
    return Promotion(
        version=f.entry.version or 0,
        run_key=f.entry.run_key,
        predicted=predicted,
        predicted_level=f.level,
        realised=brought,
        realised_nights=nights,
    )


def _lift(e: PolicyEstimate) -> Lift | None:
    from mrlm.ope.nights.hindcast import Lift

    if e.value is None or e.standard_error is None or not e.degrees_of_freedom:
        return None
    return Lift(e.value, e.standard_error, e.degrees_of_freedom, e.skewness, e.certified)
