"""Hindcast of a night: what earlier promotions promised, against what the nights since brought."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrlm.messages.message import Message, told_by
from mrlm.promotion.record.candidate import maker_of
from mrlm.promotion.record.ledger import judgement
from pipelines.contract.context import NightContext
from pipelines.failures.errors import DamagedError, DataError
from pipelines.nights.completed import read_completed
from pipelines.nights.followed import Followed, load_followed
from pipelines.nights.judged import judged_evidence
from pipelines.nights.lake import log_fingerprints
from pipelines.nights.plan import Plan

if TYPE_CHECKING:
    from mrlm.bandit_log import BanditLog, Catalog
    from mrlm.evidence.followed_promotions import Hindcast
    from mrlm.evidence.night_lift import NightLift

# What keeps one promotion from being followed, and must not stop the night: a policy, a model or a
# log that does not fit tonight's settings or data. Not damage: an alarm that nobody could raise
# would let the gate promote, and what is damaged can be made again.
_UNFOLLOWED = (DataError, FileNotFoundError, ValueError, KeyError)

# Night to the lift on it, in the order of the looks.
_Nights = dict[str, "NightLift"]


def _why(version: int | None, run_key: str, error: Exception) -> Message:
    said = told_by(error)
    if isinstance(error, KeyError):
        said = Message("nothing is known of {what}", what=str(error))
    return Message(
        "version {version} ({run_key}): {why}", version=version, run_key=run_key, why=said
    )


def hindcast_inputs(context: NightContext, plan: Plan) -> dict[str, str]:
    """Fingerprints of the logs, reward models and earlier evidence that hindcast reads."""
    found = log_fingerprints(context, sorted({n for ns in plan.hindcast.values() for n in ns}))
    entries = context.registry.ledger.entries()
    for run_key, nights in plan.hindcast.items():
        judged = judgement(entries, run_key)
        made = run_key if judged is None else maker_of(judged)
        manifest = context.run("learn_behaviour", made).manifest()
        model = manifest.outputs["reward_model"].fingerprint if manifest else "none"
        found[f"hindcast/{run_key}"] = f"{','.join(nights)} {model}"
    if plan.alarms_from:
        before = judged_evidence(context, plan.alarms_from)
        told = before.fingerprint() if before is not None else "none"
        found["hindcast/alarms"] = f"{plan.alarms_from} {told}"
    return found


def hindcast(context: NightContext, plan: Plan, catalog: Catalog | None = None) -> Hindcast | None:
    """Judge every promotion that the plan follows; alarms go to the log.

    The champion's alarm of an earlier night stays (``carry_alarm``), by the evidence of the newest
    judged run. It does not where all that evidence is gone, or where it is of another
    north star, or of one that was measured in another way.

    Args:
        context: of tonight.
        plan: of the run.
        catalog: tonight's items, where the caller has them.
    """
    from mrlm.evidence.followed_promotions import carry_alarm, without_alarms
    from mrlm.evidence.measures import one_measure

    found = _follow(context, plan, catalog)
    if plan.alarms_from:
        before = judged_evidence(context, plan.alarms_from)
        if (
            before is not None
            and before.north_star == context.north_star.name
            and one_measure(before.measures, context.north_star)
            and not _promoted_since(context, plan)
        ):
            found = carry_alarm(found, before.hindcast, plan.champion)
    if found is not None and context.settings.gate.watch == "off":
        return without_alarms(found)
    log = context.log("evaluate")
    for p in found.promotions if found is not None else ():
        (log.error if p.alarm else log.info)("hindcast: %s", p.reason)
    return found


def _promoted_since(context: NightContext, plan: Plan) -> bool:
    """Whether the champion was promoted after the night whose alarms would be carried over.

    Whoever promotes a version again has seen them.
    """
    entries = context.registry.ledger.entries()
    judged = judgement(entries, plan.alarms_from)
    return judged is not None and any(
        e.kind == "promoted" and e.version == plan.champion and e.sequence > judged.sequence
        for e in entries
    )


def _follow(context: NightContext, plan: Plan, catalog: Catalog | None) -> Hindcast | None:
    """What the nights since say of each promotion of the plan.

    The lift is the promoted version less the champion that it replaced, on the logged decisions of
    the nights since: both are evaluated from the log, whoever made it.
    """
    from mrlm.evidence.followed_promotions import Hindcast, HindcastCalibration
    from mrlm.evidence.promise import judge_promise
    from mrlm.ope.nights.hindcast import calibration
    from mrlm.promotion.record.followed_nights import promotions

    if not plan.hindcast:
        return None
    log = context.log("evaluate")
    followed: list[Followed] = []
    left_out: list[str] = []
    entries = context.registry.ledger.entries()
    for entry in promotions(entries):
        if entry.run_key in plan.hindcast:
            try:
                followed.append(load_followed(context, entry, entries))
            except DamagedError:
                raise
            except _UNFOLLOWED as error:
                left_out.append(_why(entry.version, entry.run_key, error))
                log.warning("hindcast leaves out %s", left_out[-1])
    gate, criteria = context.settings.gate, context.settings.gate.criteria(context.north_star.name)
    judged, lifts = [], []
    nights = _lifts(context, plan, followed, catalog)
    for promise in (f.promise for f in followed):
        try:
            since = nights[promise.run_key]
            if isinstance(since, Exception):
                raise since
            told, look = judge_promise(
                promise,
                since,
                criteria,
                false_alarms=gate.false_alarms,
                horizon=gate.hindcast_nights,
            )
        except _UNFOLLOWED as error:
            left_out.append(_why(promise.version, promise.run_key, error))
            log.warning("hindcast leaves out %s", left_out[-1])
            continue
        judged.append(told)
        lifts.append(look)
    return Hindcast(
        promotions=tuple(judged),
        calibration=HindcastCalibration.of(calibration(lifts, gate.level)),
        left_out=tuple(left_out),
    )


def _lifts(
    context: NightContext, plan: Plan, followed: list[Followed], catalog: Catalog | None
) -> dict[str, _Nights | Exception]:
    """Each promotion's nights, or why it cannot be followed; every night's log is read once."""
    from mrlm.behaviour.networks.threads import side_by_side

    def of_night(night: str) -> dict[str, NightLift | Exception]:
        here = [f for f in followed if night in plan.hindcast[f.promise.run_key]]
        try:
            log, estimated = read_completed(context, [night], catalog)
        except DamagedError:
            raise
        except _UNFOLLOWED as error:
            return {f.promise.run_key: error for f in here}
        return {f.promise.run_key: _lift(context, f, log, estimated is not None) for f in here}

    found: dict[str, _Nights | Exception] = {f.promise.run_key: {} for f in followed}
    nights_read = sorted({n for f in followed for n in plan.hindcast[f.promise.run_key]})
    for night, lifts in zip(nights_read, side_by_side(of_night, nights_read), strict=True):
        for run_key, lift in lifts.items():
            so_far = found[run_key]
            if isinstance(lift, Exception):
                found[run_key] = so_far if isinstance(so_far, Exception) else lift
            elif not isinstance(so_far, Exception):
                so_far[night] = lift
    for promise in (f.promise for f in followed):
        nights = found[promise.run_key]
        if not isinstance(nights, Exception):
            # Looks come in the order of the plan.
            found[promise.run_key] = {n: nights[n] for n in plan.hindcast[promise.run_key]}
    return found


def _lift(
    context: NightContext, f: Followed, log: BanditLog, estimated: bool
) -> NightLift | Exception:
    from mrlm.evidence.promise import lift_on_night

    criteria = context.settings.gate.criteria(context.north_star.name)
    try:
        return lift_on_night(
            log,
            f.policy,
            f.replaced,
            f.reward_model,
            criteria,
            estimated=estimated,
            served_as=f.promise.served_as,
        )
    except _UNFOLLOWED as error:
        return error
