"""Where a person is found before anything is taken away: nights, requests, runs, versions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mrlm.bandit_log.stored.schema import HISTORIES
from mrlm.privacy.person import Person, salted
from mrlm.privacy.person_rows import Texts, reading, requests_of_text
from mrlm.privacy.person_texts import texts_of_rows
from mrlm.promotion.registry.place import RegistryPlace
from pipelines.care.forgetting.raw_texts import texts_at
from pipelines.care.forgetting.served_log import served_requests
from pipelines.contract.context import Progress
from pipelines.contract.manifest import FILE_NAME
from pipelines.contract.workspace import Workspace
from pipelines.settings.model import Settings

_BATCH_ROWS = 65_536
# The hashed requests of a night whose people were forgotten.
REQUESTS = "forgotten"
# By which a raw row is somebody's.
_NAMING = ("user_id", "request_id")


@dataclass(frozen=True)
class Traces:
    """What is known of a person before they are forgotten.

    Attributes:
        person: with all their requests.
        requests: arrival night to the ids of their requests that arrived on it; those that were
            served and have not arrived yet are with the newest night.
        nights: event nights with decisions of theirs, ISO dates.
    """

    person: Person
    requests: dict[str, frozenset[str]]
    nights: frozenset[str]


def traces_of(
    workspace: Workspace, settings: Settings, person: Person, progress: Progress
) -> Traces:
    """Read what names the person in the lake and the served log.

    Of the lake: impressions, logs and quarantine.
    """
    names = columns_of(settings)
    requests: dict[str, frozenset[str]] = {}
    nights: set[str] = set()
    hashes: set[str] = set()
    all_nights = workspace.nights()
    for i, night in enumerate(all_nights):
        progress("nights searched", i, len(all_nights))
        ingest = workspace.lake_stage(night, "ingest")
        found: set[str] = set()
        for table in ("impressions", "late/impressions"):
            for path in sorted((ingest / table).glob("*.parquet")):
                ids, of = _of_user(path, person.pseudonym)
                found |= ids
                nights |= of
        for path in sorted((ingest / "quarantine").rglob("*.parquet")):
            found |= _quarantined(path, person, names)
        for path in sorted(workspace.lake_stage(night, "build_log").rglob("*.parquet")):
            # Histories repeat slots of other nights, whose own logs tell of them.
            if path.parent.name == HISTORIES:
                continue
            ids, of = _of_user(path, person.pseudonym)
            found |= ids
            nights |= of
        requests[night] = frozenset(found)
        for path in sorted((ingest / REQUESTS).glob("*.parquet")):
            hashes |= set(pq.read_table(path)["request"].to_pylist())
    progress("nights searched", len(all_nights), len(all_nights))
    known = {salted(person.salt, r) for r in set().union(*requests.values())} | hashes
    served = served_requests(settings, workspace.root, person)
    waiting = {r for r in served if salted(person.salt, r) not in known}
    ingested = [n for n in all_nights if (workspace.lake_stage(n, "ingest") / FILE_NAME).exists()]
    if ingested:
        requests[ingested[-1]] |= waiting
    named = frozenset().union(waiting, *requests.values())
    own = frozenset({salted(person.salt, r) for r in named} | hashes)
    person = replace(person, requests=own, named=named)
    shown = frozenset(_shown(workspace, all_nights, person))
    return Traces(replace(person, shown=shown), requests, frozenset(nights))


def columns_of(settings: Settings) -> dict[str, dict[str, Texts]]:
    """Table to what a raw line has of users and requests, where the settings say where it lies."""
    inputs = settings.inputs
    return {
        table: {n: texts_at(s) for n, s in inputs.table(table).columns.items() if n in _NAMING}
        for table in inputs.tables
    }


def runs_that_saw(workspace: Workspace, nights: frozenset[str]) -> dict[str, list[str]]:
    """Run key to the nights with decisions of the person that it learned from or judged on."""
    found = {}
    for path in sorted(workspace.runs.glob("*/plan.json")):
        try:
            plan = json.loads(path.read_bytes())
            read = {*plan["fit"], *plan["tune"], *plan["gate"], *plan.get("tested", ())}
        except (ValueError, KeyError, TypeError):
            continue
        if read & nights:
            found[path.parent.name] = sorted(read & nights)
    return found


def versions_that_saw(
    place: RegistryPlace, runs: dict[str, list[str]], nights: frozenset[str]
) -> dict[int, list[str]]:
    """Version to the nights with decisions of the person that it was learned from or judged on.

    A version without evidence is a clone of the logger, which learns from all nights up to its own.
    """
    if not place.exists:
        return {}
    from mrlm.promotion.registry.version_files import stored_folder, version_evidence
    from mrlm.promotion.registry.versions import all_versions

    found = {}
    for version in all_versions(place):
        saw = set(runs.get(version.run_key, ()))
        evidence = version_evidence(stored_folder(place, version))
        if evidence is not None:
            read = {*evidence.fit_nights, *evidence.tune_nights, *evidence.gate_nights}
            saw |= read & nights
        else:
            saw |= {n for n in nights if n <= version.tags.get("mrlm.night", "")}
        if saw:
            found[version.version] = sorted(saw)
    return found


def _of_user(path: Path, pseudonym: str) -> tuple[set[str], set[str]]:
    """Requests and nights of a user in a Parquet file."""
    requests: set[str] = set()
    nights: set[str] = set()
    columns = ["user", "request_id", "night"]
    with reading(path) as file:
        for batch in file.iter_batches(_BATCH_ROWS, columns=columns):
            own = pa.Table.from_batches([batch]).filter(pc.field("user") == pseudonym)
            requests |= {r for r in own["request_id"].to_pylist() if r is not None}
            nights |= {n.isoformat() for n in own["night"].to_pylist() if n is not None}
    return requests, nights


def _shown(workspace: Workspace, nights: list[str], person: Person) -> Iterator[str]:
    """What verdicts of validation hold of the person's rows: pages show it without a name."""
    for night in nights:
        path = workspace.lake_stage(night, "validate") / "verdict.json"
        try:
            verdict = json.loads(path.read_bytes())
        except (FileNotFoundError, ValueError):
            continue
        yield from texts_of_rows(verdict, person)


def _quarantined(path: Path, person: Person, names: dict[str, dict[str, Texts]]) -> set[str]:
    found: set[str] = set()
    with reading(path) as file:
        for batch in file.iter_batches(_BATCH_ROWS, columns=["table", "raw"]):
            for row in batch.to_pylist():
                if row["table"] == "impressions":
                    found |= requests_of_text(row["raw"], person, names["impressions"])
    return found
