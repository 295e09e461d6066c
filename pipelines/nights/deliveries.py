"""How far the deliveries of the nights' events can be trusted, and what a person accepted."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrlm.bandit_log import Objective
from pipelines.contract.context import NightContext
from pipelines.contract.fingerprints import of_json
from pipelines.failures.errors import DataError
from pipelines.nights.lake import shift
from pipelines.settings.night_path import night_path

if TYPE_CHECKING:
    from spark_jobs.log.rewards import Delivered


def sent_events(context: NightContext) -> dict[str, int] | None:
    """Events that the logger says it sent for tonight, by name; None where it is not asked.

    Raises:
        DataError: the file is not there, or is not an object of whole numbers.
    """
    named = context.settings.inputs.sent_path
    if named is None:
        return None
    path = Path(night_path(named, context.night))
    where = f"night {context.night}: the counts of sent events at {path}"
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(
            f"{where} are not there, so the delivery may not be complete; wait for it, or correct "
            "inputs.sent_path in the settings"
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} are no JSON: {error}") from error
    if not isinstance(found, dict):
        raise DataError(f"{where} are not one JSON object of event names and numbers")
    for event, number in found.items():
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise DataError(f"{where}: {event!r} is {number!r}, not a whole number of at least 0")
    return found


def deliveries(context: NightContext, arrival: str) -> dict[str, dict[str, Any]]:
    """What validation found of each event that arrived on a night: see ``Delivery.to_json``."""
    manifest = context.lake("validate", arrival).manifest()
    return {} if manifest is None else dict(manifest.counts.get("deliveries", {}))


def doubtful_events(context: NightContext, arrival: str) -> list[str]:
    """Events whose delivery on a night is unknown, accepted or not."""
    return [e for e, d in deliveries(context, arrival).items() if d["state"] == "unknown"]


def doubts(context: NightContext, arrivals: Iterable[str]) -> set[tuple[str, str]]:
    """Night and event of the deliveries that are unknown and that nobody accepted."""
    unknown = {(n, event) for n in arrivals for event in doubtful_events(context, n)}
    # Only a doubt can be accepted: without one the ledger is not read.
    accepted = accepted_nights(context) if unknown else {}
    return {(n, event) for n, event in unknown if n not in accepted}


def accepted_nights(context: NightContext) -> dict[str, str]:
    """Arrival nights whose deliveries a person accepted as they are, with the reason.

    What was delivered again since, and is otherwise, nobody has accepted.
    """
    entries = [e for e in context.registry.ledger.entries() if e.kind == "accepted"]
    return {
        e.run_key: e.reason for e in entries if e.holds_for(found_fingerprint(context, e.run_key))
    }


def found_fingerprint(context: NightContext, arrival: str) -> str:
    """Fingerprint of what validation found of a night's deliveries: what is accepted with them."""
    return of_json(deliveries(context, arrival))


def delivered(context: NightContext, nights: list[str], passed: list[str]) -> dict[str, Delivered]:
    """What is known of the deliveries of each feedback objective's events.

    Args:
        context: tonight.
        nights: of the slots, ISO dates.
        passed: nights whose feedback passed validation, tonight included.

    Returns:
        Objective to what is known. A night is final when every night on which its events may
        arrive has been read and nothing speaks against their deliveries, doubtful when all of
        those nights are over and something does.
    """
    from spark_jobs.log.rewards import Delivered

    objectives = [o for o in context.objectives if o.source == "feedback"]
    reach = {a for o in objectives for n in nights for a in _arrivals(o, n)}
    found = {n: deliveries(context, n) for n in passed if n in reach}
    unknown = doubts(context, found)
    out = {}
    for objective in objectives:
        closed = [n for n in nights if _last(objective, n) <= context.night]
        final = {n for n in closed if _whole(objective, n, passed, unknown)}
        out[objective.name] = Delivered(
            final=frozenset(final),
            doubtful=frozenset(set(closed) - final),
            lost={n: _lost(objective, n, found) for n in nights},
        )
    return out


def _last(objective: Objective, night: str) -> str:
    return shift(night, objective.window_nights)


def _arrivals(objective: Objective, night: str) -> list[str]:
    return [shift(night, d) for d in range(objective.window_nights + 1)]


def _whole(
    objective: Objective, night: str, passed: list[str], unknown: set[tuple[str, str]]
) -> bool:
    return all(
        n in passed and (n, objective.event) not in unknown for n in _arrivals(objective, night)
    )


def _lost(objective: Objective, night: str, found: dict[str, dict[str, dict[str, Any]]]) -> int:
    """Events that may belong to a slot of the night: those lost on each night of its window."""
    return sum(
        found[n][objective.event]["lost"]
        for n in _arrivals(objective, night)
        if objective.event in found.get(n, {})
    )
