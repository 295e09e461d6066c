"""Which rewards are open, unknown or came too late, and why, in lines that people read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mrlm.bandit_log import Objective
from mrlm.promotion.record.ledger import LedgerError
from mrlm.report.visible import visible
from pipelines.contract.context import NightContext
from pipelines.nights.deliveries import accepted_nights, deliveries
from pipelines.nights.lake import built_logs, ingested, shift, table_passed


def reward_lines(newest: NightContext, nights: list[str]) -> Iterator[str]:
    """One line for each night and feedback objective with rewards that are not all known.

    So is one whose window closed before many of its events came: they count for nothing. Where
    rewards are unknown that nobody accepted, a last line says what makes them known.

    Args:
        newest: the newest night that was run.
        nights: to tell of, ISO dates.
    """
    built = built_logs(newest)
    accepted, unknown = None, False
    for night in nights:
        if night not in built:
            continue
        manifest = newest.lake("build_log", built[night][0]).require()
        counts = manifest.counts["nights"][night]
        for objective in newest.objectives:
            if objective.source != "feedback":
                continue
            line = _line(newest, objective, night, counts)
            if line is None:
                continue
            accepted = _accepted_nights(newest) if accepted is None else accepted
            taken = _accepted(objective, night, accepted)
            unknown |= bool(counts.get("unknown", {}).get(objective.name, 0)) and not taken
            yield f"{night}  {line}{taken}"
    if unknown:
        yield (
            "to make unknown rewards known: have the night that is named delivered again, then run "
            "'mrlm night NIGHT'; or, where nothing is missing, 'mrlm accept NIGHT --actor YOU "
            "--reason WHY'"
        )


def _line(
    context: NightContext, objective: Objective, night: str, counts: dict[str, Any]
) -> str | None:
    name = objective.name
    unknown, lost = counts.get("unknown", {}).get(name, 0), counts.get("lost", {}).get(name, 0)
    final = counts["final"].get(name, False)
    if not final and not unknown:
        until = shift(night, objective.window_nights)
        return f"{name}: open until {until} has been read"
    parts = []
    if unknown:
        of = counts["decisions"]
        parts.append(f"{unknown:,} of {of:,} rewards unknown" + ("" if final else ", not final"))
    if lost:
        parts.append(f"up to {lost:,} more events are lost")
    late, came = _late(context, objective, night)
    if late > context.settings.validation.late_share * (came + late):
        parts.append(
            f"{late:,} events came after its window of {objective.window_nights} nights and count "
            f"for nothing, beside {came:,} in time"
        )
    if not parts:
        return None
    reasons = [
        f"{arrival}: {reason}"
        for arrival in (shift(night, d) for d in range(objective.window_nights + 1))
        for reason in _reasons(context, objective.event, arrival)
    ]
    told = f" ({'; '.join(reasons) or 'see the data docs'})" if unknown or lost or reasons else ""
    return f"{name}: {'; '.join(parts)}{told}"


def _late(context: NightContext, objective: Objective, night: str) -> tuple[int, int]:
    """Events of a night's slots after their window, and events that came on the nights of it."""
    late = came = 0
    closed = shift(night, objective.window_nights)
    for arrival in [*ingested(context, night), context.night]:
        manifest = context.lake("ingest", arrival).manifest()
        if manifest is None:
            continue
        late += manifest.counts.get("late_events", {}).get(objective.event, {}).get(night, 0)
        if arrival <= closed:
            came += manifest.counts.get("events", {}).get(objective.event, {}).get("attributed", 0)
    return late, came


def _reasons(context: NightContext, event: str, arrival: str) -> Iterator[str]:
    """Why the delivery of an event on a night is not whole."""
    if context.lake("validate", arrival).manifest() is None:
        yield "not read"
        return
    if not table_passed(context, arrival, "feedback"):
        yield "its feedback was stopped by validation"
    found = deliveries(context, arrival).get(event)
    if found is None:
        return
    shown = visible(event, 80)
    for sign in found["missing"]:
        yield f"{shown} events are missing by their {sign}"
    for count, words in (
        ("undelivered", "were sent and did not arrive"),
        ("unattributed", "belong to no known impression"),
        ("unread", "name their slot and could not be read"),
        ("unplaced", "could not be read at all"),
    ):
        if found[count]:
            yield f"{found[count]:,} {shown} events {words}"


def _accepted_nights(context: NightContext) -> dict[str, str]:
    """What the ledger says; a broken one is told by whoever decides by it."""
    try:
        return accepted_nights(context)
    except LedgerError:
        return {}


def _accepted(objective: Objective, night: str, accepted: dict[str, str]) -> str:
    own = [shift(night, d) for d in range(objective.window_nights + 1)]
    told = [f"{n} accepted: {visible(accepted[n], 200)}" for n in own if n in accepted]
    return f"; {'; '.join(told)}" if told else ""
