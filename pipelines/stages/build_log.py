"""Build the bandit log: states, candidate sets, propensities, reward vectors, sessions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from pipelines.contract.context import NightContext
from pipelines.contract.stage import Product
from pipelines.failures.errors import DataError
from pipelines.nights.lake import built_logs, ingested, shift, table_passed


class BuildLog:
    """Spark joins what was shown with what happened, for tonight and for every reopened night."""

    name = "build_log"
    place: Literal["lake"] = "lake"
    sections = ("objectives", "state", "ingestion")
    form = 1

    def plan(self, context: NightContext) -> list[str]:
        """The nights whose logs are built, oldest first; tonight must have passed."""
        context.lake("validate").require()
        return _nights_to_build(context)

    def inputs(self, context: NightContext, plan: list[str]) -> dict[str, str]:
        """The clean tables of every night that state or rewards can come from."""
        found = {
            f"verdict/{context.night}": context.lake("validate").require().output_fingerprint(),
            "nights": ",".join(plan),
        }
        for night in _arrivals(context, plan):
            manifest = context.lake("ingest", night).require()
            for table in ("impressions", "feedback"):
                if table_passed(context, night, table):
                    found[f"{table}/{night}"] = manifest.outputs[table].fingerprint
        return found

    def run(self, context: NightContext, plan: list[str], out: Path) -> Product:
        """Build tonight's log, and again those of earlier nights that tonight changed."""
        from spark_jobs import build_log
        from spark_jobs.errors import InputError

        arrivals = _arrivals(context, plan)
        passed = {
            table: [n for n in arrivals if table_passed(context, n, table)]
            for table in ("impressions", "feedback")
        }
        final = {n: _final(context, n, passed["feedback"]) for n in plan}
        state = context.settings.state
        job = build_log.BuildLogJob(
            as_of=context.night,
            nights=tuple(plan),
            impressions=_folders(context, passed["impressions"], "impressions"),
            feedback=_folders(context, passed["feedback"], "feedback"),
            objectives=context.objectives,
            history_objective=state.history_objective,
            out=str(out),
            excluded=tuple(n for n in arrivals if n not in passed["impressions"]),
            final=final,
            history_length=state.history_length,
            history_nights=state.history_nights,
            session_gap_minutes=context.settings.ingestion.session_gap_minutes,
        )
        try:
            counts = build_log.run(context.spark(), job)
        except InputError as error:
            raise DataError(f"night {context.night}: {error}") from error
        context.log(self.name).info("built %s", plan)
        built = [n for n in plan if (out / f"night={n}").is_dir()]
        return Product(
            outputs={f"night={n}": f"night={n}" for n in built},
            counts={"nights": counts, "final": final},
        )


def _arrivals(context: NightContext, nights: list[str]) -> list[str]:
    """Ingested nights whose rows can matter to these, tonight included, oldest first."""
    state = context.settings.state
    reach = state.history_nights + context.settings.final_after
    return [*ingested(context, shift(min(nights), -reach)), context.night]


def _nights_to_build(context: NightContext) -> list[str]:
    """Tonight, earlier nights without a log, and those that feedback or a closing window changed.

    "Without" and "changed" are as of the night before, so that a second run finds the same nights.
    """
    built = built_logs(replace(context, night=shift(context.night, -1)))
    windows = {o.window_nights for o in context.objectives if o.source == "feedback"}
    passed = {n for n in ingested(context) if table_passed(context, n, "impressions")}
    nights = {context.night, *(passed - built.keys())}
    for night, (builder, _) in built.items():
        closed = any(builder < shift(night, w) <= context.night for w in windows)
        reopened = any(night in _reopened(context, a) for a in _between(context, builder))
        if closed or reopened:
            nights.add(night)
    return sorted(nights)


def _between(context: NightContext, builder: str) -> list[str]:
    return [n for n in [*ingested(context, builder), context.night] if n > builder]


def _reopened(context: NightContext, arrival: str) -> list[str]:
    manifest = context.lake("ingest", arrival).manifest()
    return list(manifest.counts["reopened"]) if manifest else []


def _final(context: NightContext, night: str, feedback: list[str]) -> dict[str, bool]:
    """For each objective, whether every night on which its feedback may arrive has passed."""
    return {
        o.name: all(shift(night, d) in feedback for d in range(o.window_nights + 1))
        for o in context.objectives
        if o.source == "feedback"
    }


def _folders(context: NightContext, nights: list[str], table: str) -> dict[str, str]:
    return {n: str(context.lake("ingest", n).path(table)) for n in nights}


STAGE = BuildLog()
