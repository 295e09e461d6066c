"""What a run decides before it learns anything: its nights, its champion, its weights.

Once the gate has judged the run its plan is kept: repeated after the champion moved, it still is
the same run. Until then it is made from what is there now.
"""

from __future__ import annotations

import json
from collections.abc import Container
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mrlm.promotion.record.anchor import anchor_version, links_from_anchor
from mrlm.promotion.record.candidate import (
    candidate_under_test,
    earlier_looks,
    maker_of,
    nights_before,
)
from mrlm.promotion.record.followed_nights import nights_since
from mrlm.promotion.record.ledger import Entry, judged_nights, judgement
from pipelines.contract.context import NightContext
from pipelines.contract.deployment import require_champion
from pipelines.contract.sealed import read_sealed, write_sealed
from pipelines.failures.errors import DamagedError, DataError
from pipelines.nights.judged import judged_evidence, newest_judged
from pipelines.nights.lake import built_logs, history_command, log_paths, shift
from pipelines.nights.seen_nights import seen_nights


@dataclass(frozen=True)
class Plan:
    """The nights of a run, by what they are for, and what it builds on.

    Attributes:
        fit: nights that reward models and policies are fitted on.
        tune: nights that weights are chosen on.
        gate: fresh nights that the evidence is computed on; no earlier decision has used them, and
            the challenger that they judge was not made of them. Where that is an earlier run's,
            tonight's own, which waits, learns from them.
        champion: version of the champion that the challenger is compared with.
        weights_from: run whose weights the learners train with; empty on the first night.
        look: which look at its challenger this is.
        hindcast: run key of each promotion that is followed to the nights since that are read, in
            the order of the looks.
        alarms_from: newest judged run, whose evidence tells alarms that stay; empty: none.
        anchor: version that the challenger is held against besides; None: nobody looks.
        candidate: run that made the challenger, where it is under test since then; empty: this one.
        tested: gate nights that earlier looks at it have used: the evidence is of these too.
        anchor_links: versions promoted from the anchor to the champion; None: none lead there.
        earned: gate nights of the test before, which earn this one its error, by ``nights_before``.
        log_tells: what the newest night's log tells of another policy, over what a night of its
            trial would, where that is so little that the challenger's trial begins before any night
            is judged; None: it is looked at first.
    """

    fit: list[str]
    tune: list[str]
    gate: list[str]
    champion: int
    weights_from: str
    look: int = 1
    hindcast: dict[str, list[str]] = field(default_factory=dict)
    alarms_from: str = ""
    anchor: int | None = None
    anchor_links: list[int] | None = None
    candidate: str = ""
    tested: list[str] = field(default_factory=list)
    earned: int = 1
    log_tells: float | None = None

    @property
    def judged(self) -> list[str]:
        """All nights of the evidence, oldest first; none without a fresh one."""
        return [*self.tested, *self.gate]


def plan_of(context: NightContext) -> Plan:
    """The run's plan: the one that it was judged with, else one of now.

    Raises:
        DataError: too few nights with a final north star.
        MissingInputError: there is no champion yet.
        DamagedError: the file of the plan that it was judged with is not as it was written.
    """
    path = context.workspace.runs / context.run_key / "plan.json"
    entries = context.registry.ledger.entries()
    judged = judgement(entries, context.run_key) is not None
    try:
        kept = _kept(path)
    except DamagedError as error:
        if judged:
            raise
        context.log("plan").warning("%s: planned again", error)
        kept = None
    if kept is not None and judged:
        return kept
    plan = _make(context, entries)
    if plan == kept:
        return plan
    write_sealed(path, asdict(plan))
    context.log("plan").info(
        "fit %s, tune %s, gate %s, champion %d", plan.fit, plan.tune, plan.gate, plan.champion
    )
    if plan.log_tells is not None:
        context.log("plan").info(
            "the newest log tells %.1f %% of what a night of a trial would: the challenger learns "
            "from every final night, and its trial begins before any is judged",
            100 * plan.log_tells,
        )
    if plan.candidate:
        context.log("plan").info(
            "the challenger of run %s stays under test: look %d, on %s too; tonight's own waits",
            plan.candidate,
            plan.look,
            plan.tested,
        )
    return plan


def _kept(path: Path) -> Plan | None:
    remedy = (
        "The run was judged with this plan: put back a copy of the file, or remove it, and the run "
        "is planned by what is there now; its judgement stays"
    )
    try:
        return read_sealed(path, lambda data: Plan(**data), remedy)
    except FileNotFoundError:
        return None


def training_weights(context: NightContext, plan: Plan) -> dict[str, float] | None:
    """Objective weights on the simplex, those that the plan builds on; None: no such.

    Weights fixed by hand make tonight's challenger, and are what tomorrow's learners train with.
    """
    from mrlm.meta.training_weights.scalarise import objective_weights

    names = [o.name for o in context.objectives]
    if not plan.weights_from:
        return None
    path = context.run("tune_weights", plan.weights_from).path("weights.json")
    return objective_weights(names, previous=json.loads(path.read_text())["objectives"])


def split(
    final: list[str],
    judged: set[str],
    gate_nights: int,
    tune_nights: int,
    fit_nights: int,
    min_fit_nights: int = 1,
) -> tuple[list[str], list[str], list[str]]:
    """Divide nights with a final north star into fit, tune and gate, in time order.

    Gate nights are the newest of those that are later than every night a decision has used: a night
    before one could have been tuned on by the champion that the decision made. Tune nights come
    before the gate nights, fit nights before those. While nights are few the newest alone judges,
    so that the first night that can be judged is.

    Args:
        final: nights, oldest first.
        judged: nights that earlier decisions have used.
        gate_nights: most nights to judge on.
        tune_nights: nights to tune on.
        fit_nights: most nights to fit on.
        min_fit_nights: nights to fit on that more than one gate night must leave.
    """
    last = max(judged, default="")
    most = max(min(gate_nights, len(final) - tune_nights - min_fit_nights), 1)
    gate = [n for n in final[-most:] if n > last]
    before = [n for n in final if not gate or n < gate[0]]
    tune = before[-tune_nights:]
    fit = before[: len(before) - len(tune)][-fit_nights:]
    return fit, tune, gate


def _make(context: NightContext, entries: tuple[Entry, ...]) -> Plan:
    settings = context.settings.split
    built = built_logs(context)
    final = [night for night, (builder, _) in built.items() if _is_final(context, night, builder)]
    alarms_from, before = newest_judged(context, entries)
    followed = before.hindcast if before is not None else None
    # A night that a promotion was followed on may have brought about who is champion.
    read = {n for p in (followed.promotions if followed else ()) for n in p.nights}
    last = _candidate(context, entries, built)
    tells = _log_tells(context, final) if last is None else None
    # No night judges tonight's own challenger yet, so it learns from all of them.
    waits = last is not None or tells is not None
    champion = require_champion(context.registry, context.night)
    weights_from = _previous_weights(context, {e.run_key for e in entries if e.kind == "judged"})
    seen = seen_nights(context, entries, champion, last, weights_from)
    fit, tune, gate = _split(context, entries, final, seen, judges_own=not waits)
    used = (*judged_nights(entries, context.run_key), *seen)
    gate = [n for n in gate if n > max(used, default="") and n not in read and tells is None]
    if len(fit) < settings.min_fit_nights or len(tune) < settings.tune_nights:
        raise DataError(
            f"night {context.night}: {len(final)} passed nights have a final "
            f"{context.north_star.name}; {settings.min_fit_nights} are needed to fit, "
            f"{settings.tune_nights} to tune and 1 to judge on. Read earlier nights first with "
            f"'{history_command(context, shift(context.night, -1))}', or lower "
            "split.min_fit_nights or split.tune_nights"
        )
    if not gate:
        last = None
    if last is not None:
        gate = gate[: max(context.settings.gate.test_nights - len(last.gate_nights), 1)]
    return Plan(
        fit=fit,
        tune=tune,
        gate=gate,
        champion=champion,
        weights_from=weights_from,
        look=1 if last is None else len(_looks(context, entries, last)) + 1,
        candidate="" if last is None else maker_of(last),
        tested=[] if last is None else sorted(last.gate_nights),
        hindcast=nights_since(
            entries,
            context.run_key,
            final,
            context.settings.gate,
            followed,
            final[-settings.gate_nights :],
        ),
        alarms_from=alarms_from,
        earned=nights_before(entries, context.run_key if last is None else maker_of(last)),
        log_tells=tells,
        **_anchor(context, entries),
    )


def _split(
    context: NightContext,
    entries: tuple[Entry, ...],
    final: list[str],
    seen: frozenset[str],
    *,
    judges_own: bool,
) -> tuple[list[str], list[str], list[str]]:
    """Nights to fit and to tune on, and fresh ones to judge on; see ``split``.

    Args:
        context: of the night.
        entries: of the ledger.
        final: nights with a final north star, oldest first.
        seen: see ``seen_nights``.
        judges_own: whether the fresh ones judge the challenger that is made tonight.
    """
    settings = context.settings.split
    most = settings.gate_nights, settings.tune_nights, settings.fit_nights, settings.min_fit_nights
    # A run of the same night under other settings learns and tunes on the same nights, so that what
    # one has learned is the other's too; what the one was judged on cannot judge the other.
    others = tuple(e for e in entries if e.run_key[: len(context.night)] != context.night)
    fit, tune, gate = split(final, {*judged_nights(others), *seen}, *most)
    if not judges_own:
        fit, tune, _ = split(final, set(final), *most)
    return fit, tune, gate


def _log_tells(context: NightContext, final: list[str]) -> float | None:
    """What ``Plan.log_tells`` holds, of a night that makes its own challenger."""
    from mrlm.bandit_log.stored.logged_propensities import LoggedPropensities
    from mrlm.evidence.log_breadth import too_little_told

    share = context.settings.gate.trial_share
    if not share or not final:
        return None
    (path,) = log_paths(context, final[-1:])
    logged = LoggedPropensities.read(path, context.settings.split.night_decisions or None)
    return too_little_told(logged, share)


def _candidate(
    context: NightContext, entries: tuple[Entry, ...], built: Container[str]
) -> Entry | None:
    """The newest look at a challenger that goes on, if it is still what was looked at before.

    Args:
        context: of the night.
        entries: of the ledger.
        built: nights whose logs are there.
    """
    last = candidate_under_test(entries, context.run_key)
    why = "" if last is None else _changed(context, last, built)
    if last is None or not why:
        return last
    context.log("plan").warning("the test of run %s ends: %s", maker_of(last), why)
    return None


def _changed(context: NightContext, last: Entry, built: Container[str]) -> str:
    """What keeps a test from going on: what the challenger is made of is gone, or is another."""
    maker = maker_of(last)
    made = [
        context.run(stage, maker).manifest()
        for stage in ("learn_behaviour", "learn_policy", "tune_weights")
    ]
    first = judged_evidence(context, maker)
    if first is None or any(manifest is None for manifest in made):
        return "its outputs or its evidence are gone"
    tuned = made[-1]
    if tuned is None or tuned.outputs["bundle"].fingerprint != first.data.get("challenger"):
        return "its challenger was made again, and is not the one that was judged"
    nights = {*last.gate_nights, *first.fit_nights, *first.tune_nights}
    gone = sorted(night for night in nights if night not in built)
    return f"the log of night {gone[0]} was withdrawn" if gone else ""


def _looks(context: NightContext, entries: tuple[Entry, ...], last: Entry) -> tuple[Entry, ...]:
    return earlier_looks(entries, maker_of(last), context.run_key)


def _anchor(context: NightContext, entries: tuple[Entry, ...]) -> dict[str, Any]:
    if context.settings.gate.anchored == "off":
        return {}
    links = links_from_anchor(entries)
    return {
        "anchor": anchor_version(entries),
        "anchor_links": None if links is None else [e.version for e in links],
    }


def _is_final(context: NightContext, night: str, builder: str) -> bool:
    manifest = context.lake("build_log", builder).manifest()
    if manifest is None:
        return False
    return bool(manifest.counts["final"][night][context.north_star.name])


def _previous_weights(context: NightContext, judged: set[str]) -> str:
    """Newest judged run of an earlier night, under whatever settings."""
    if not context.workspace.runs.is_dir():
        return ""
    found = [
        p.name
        for p in context.workspace.runs.iterdir()
        if p.name < context.night
        and p.name in judged
        and context.run("tune_weights", p.name).manifest() is not None
    ]
    return max(found, default="")
