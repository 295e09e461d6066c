"""Build the bandit log: states, candidate sets, propensities, reward vectors, sessions."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipelines.contract.context import NightContext
from pipelines.contract.fingerprints import of_json
from pipelines.contract.manifest import Manifest
from pipelines.contract.stage import Product
from pipelines.failures.errors import DataError
from pipelines.nights.deliveries import delivered
from pipelines.nights.lake import built_logs, ingested, shift, table_passed

if TYPE_CHECKING:
    from spark_jobs.log.rewards import Delivered


# What an objective is for, and not how its reward is read; what follows is added on reading.
_NOT_OF_REWARDS = ("role", "unit", "margin", "discount")


@dataclass(frozen=True)
class Building:
    """What is built tonight, and how far it can be trusted.

    Attributes:
        nights: whose logs are built, oldest first.
        delivered: objective to what is known of its events' deliveries.
    """

    nights: list[str]
    delivered: dict[str, Delivered]


class BuildLog:
    """Spark joins what was shown with what happened, for tonight and for every reopened night."""

    name = "build_log"
    place: Literal["lake"] = "lake"
    sections = ("objectives", "state", "ingestion")
    form = 2

    def plan(self, context: NightContext) -> Building:
        """The nights whose logs are built, and their deliveries; tonight must have passed."""
        context.lake("validate").require()
        nights = _nights_to_build(context)
        passed = [n for n in _arrivals(context, nights) if table_passed(context, n, "feedback")]
        return Building(nights, delivered(context, nights, passed))

    def inputs(self, context: NightContext, plan: Building) -> dict[str, str]:
        """The clean tables of every night that state or rewards can come from."""
        found = {
            f"verdict/{context.night}": context.lake("validate").require().output_fingerprint(),
            "nights": ",".join(plan.nights),
        }
        for night in _arrivals(context, plan.nights):
            manifest = context.lake("ingest", night).require()
            found |= _read_of(context, night, manifest)
        known = _plain(plan.delivered)
        if any(d["doubtful"] or any(d["lost"].values()) for d in known.values()):
            found["delivered"] = of_json(known)
        return found

    def run(self, context: NightContext, plan: Building, out: Path) -> Product:
        """Build tonight's log, and again those of earlier nights that tonight changed."""
        from spark_jobs import build_log
        from spark_jobs.contract.errors import InputError

        arrivals = _arrivals(context, plan.nights)
        passed = {
            table: [n for n in arrivals if table_passed(context, n, table)]
            for table in ("impressions", "feedback")
        }
        state = context.settings.state
        job = build_log.BuildLogJob(
            as_of=context.night,
            nights=tuple(plan.nights),
            impressions=_folders(context, passed["impressions"], "impressions"),
            feedback=_folders(context, passed["feedback"], "feedback"),
            objectives=context.objectives,
            history_objective=state.history_objective,
            out=str(out),
            unread=_folders(context, passed["feedback"], "unread"),
            history=_folders(context, arrivals, "history"),
            excluded=tuple(n for n in arrivals if n not in passed["impressions"]),
            delivered=plan.delivered,
            history_length=state.history_length,
            history_nights=state.history_nights,
            session_gap_minutes=context.settings.ingestion.session_gap_minutes,
        )
        try:
            counts = build_log.run(context.spark(), job)
        except InputError as error:
            raise DataError(f"night {context.night}: {error}") from error
        context.log(self.name).info("built %s", plan.nights)
        built = [n for n in plan.nights if (out / f"night={n}").is_dir()]
        return Product(
            outputs={f"night={n}": f"night={n}" for n in built},
            counts={
                "nights": counts,
                "final": {n: counts[n]["final"] for n in plan.nights},
                "meaning": meaning_of(context),
            },
        )


def _arrivals(context: NightContext, nights: list[str]) -> list[str]:
    """Ingested nights whose rows can matter to these, tonight included, oldest first."""
    state = context.settings.state
    reach = state.history_nights + context.settings.final_after
    return [*ingested(context, shift(min(nights), -reach)), context.night]


def meaning_of(context: NightContext) -> str:
    """Fingerprint of the settings by which rows become rewards, histories and sessions."""
    rewards = [
        {k: v for k, v in asdict(o).items() if k not in _NOT_OF_REWARDS}
        for o in context.objectives
        if o.source == "feedback"
    ]
    state, gap = context.settings.state.model_dump(), context.settings.ingestion.session_gap_minutes
    return of_json({"rewards": rewards, "state": state, "session_gap_minutes": gap})


def _nights_to_build(context: NightContext) -> list[str]:
    """Tonight, earlier nights without a log, and those that feedback or a closing window changed.

    A log of an earlier form, or of other settings, is none. "Without" and "changed" are as of the
    night before, so that a second run finds the same nights.
    """
    built = built_logs(replace(context, night=shift(context.night, -1)))
    windows = {o.window_nights for o in context.objectives if o.source == "feedback"}
    passed = {n for n in ingested(context) if table_passed(context, n, "impressions")}
    nights, meaning = {context.night, *(passed - built.keys())}, meaning_of(context)
    for night, (builder, _) in built.items():
        manifest = context.lake("build_log", builder).require()
        # Logs of before it was kept are taken to mean the same.
        of_log = manifest.counts.get("meaning", meaning)
        if manifest.form != BuildLog.form or of_log != meaning:
            nights.add(night)
            continue
        closed = any(builder < shift(night, w) <= context.night for w in windows)
        reopened = any(night in _reopened(context, a) for a in _between(context, builder))
        if closed or reopened:
            nights.add(night)
    return sorted(nights | _redelivered(context, {n: b for n, (b, _) in built.items()}))


def _redelivered(context: NightContext, builders: dict[str, str]) -> set[str]:
    """Nights whose log was built from other rows, or another trust in them, than are there now.

    A night's files may be delivered again, the logger's count of them may be, and a person may
    accept a delivery, after its log was built.
    """
    changed = set()
    for night, builder in builders.items():
        manifest = context.lake("build_log", builder).require()
        then = replace(context, night=builder)
        arrivals, now = [], dict[str, str]()
        for arrival in (shift(night, d) for d in range(context.settings.final_after + 1)):
            ingest = context.lake("ingest", arrival).manifest() if arrival <= builder else None
            if ingest is not None:
                arrivals.append(arrival)
                now |= _read_of(context, arrival, ingest)
        before = {
            name: fingerprint
            for name, fingerprint in manifest.inputs.items()
            if name.partition("/")[2] in arrivals and not name.startswith("verdict/")
        }
        passed = [n for n in arrivals if table_passed(context, n, "feedback")]
        known = delivered(then, [night], passed)
        final = {name: night in d.final for name, d in known.items()}
        lost = {name: d.lost[night] for name, d in known.items() if d.lost[night]}
        lost_then = manifest.counts["nights"][night].get("lost", {})
        if (
            now != before
            or final != manifest.counts["final"][night]
            or lost != {name: number for name, number in lost_then.items() if number}
        ):
            changed.add(night)
    return changed


def _between(context: NightContext, builder: str) -> list[str]:
    return [n for n in [*ingested(context, builder), context.night] if n > builder]


def _reopened(context: NightContext, arrival: str) -> list[str]:
    manifest = context.lake("ingest", arrival).manifest()
    return list(manifest.counts["reopened"]) if manifest else []


def _plain(known: dict[str, Delivered]) -> dict[str, Any]:
    return {
        name: {"final": sorted(d.final), "doubtful": sorted(d.doubtful), "lost": dict(d.lost)}
        for name, d in known.items()
    }


def _read_of(context: NightContext, night: str, manifest: Manifest) -> dict[str, str]:
    """Fingerprints of what is read of one arrival night."""
    tables = {"impressions": ("impressions",), "feedback": ("feedback", "unread")}
    told = manifest.outputs.get("history")
    found = {f"history/{night}": told.fingerprint} if told is not None else {}
    return found | {
        f"{output}/{night}": manifest.outputs[output].fingerprint
        for table, outputs in tables.items()
        if table_passed(context, night, table)
        for output in outputs
        if output in manifest.outputs
    }


def _folders(context: NightContext, nights: list[str], table: str) -> dict[str, str]:
    """Night to folder; a night whose ingestion does not write it is left out."""
    found = {}
    for night in nights:
        ingest = context.lake("ingest", night)
        if table in ingest.require().outputs:
            found[night] = str(ingest.path(table))
    return found


STAGE = BuildLog()
