"""What a log holds, what it lacks for evaluating a night, and what looks wrong in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mrlm.log_mapping.findings.about_feedback import about_feedback
from mrlm.log_mapping.findings.about_files import about_files
from mrlm.log_mapping.findings.about_impressions import about_impressions
from mrlm.log_mapping.findings.about_items import about_items
from mrlm.log_mapping.findings.finding import LogFinding
from mrlm.log_mapping.proposal import MappedTable, TableMapping
from mrlm.log_mapping.sample_counts import event_kinds, event_windows, night_count
from mrlm.log_mapping.sampled_files import SampledFile, sample_tables
from mrlm.log_mapping.table_mapping import propose


@dataclass(frozen=True)
class LogCheck:
    """What was found in a log.

    Attributes:
        root: the path that was checked.
        tables: table to the mapping that is proposed.
        beside: mappings of tables that another file holds already.
        unknown: files that hold no table.
        findings: in order of their weight.
        event_kinds: kind to how often the sample has it.
        window_nights: event to the nights after a show within which nearly all of them come.
        night_count: nights that the log holds, as far as the sample tells.
    """

    root: Path
    tables: dict[MappedTable, TableMapping]
    beside: tuple[TableMapping, ...] = ()
    unknown: tuple[SampledFile, ...] = ()
    findings: tuple[LogFinding, ...] = ()
    event_kinds: dict[str, int] = field(default_factory=dict)
    window_nights: dict[str, int] = field(default_factory=dict)
    night_count: int = 0

    @property
    def evaluable(self) -> bool:
        """Whether a night can be evaluated from the log."""
        return not any(f.stops for f in self.findings)

    @property
    def nights(self) -> tuple[str, ...]:
        """ISO dates that paths of impressions name."""
        shown = self.tables.get("impressions")
        return shown.sampled.nights if shown is not None else ()


def check_log(path: Path) -> LogCheck:
    """Read a sample of each file under a path, and say what it is.

    Args:
        path: a file, or a folder of files.

    Raises:
        FileNotFoundError: there is nothing at the path.
    """
    sampled, unknown = sample_tables(path)
    proposed = [mapping for table in sampled for mapping in propose(table)]
    tables: dict[MappedTable, TableMapping] = {}
    beside = []
    for mapping in sorted(proposed, key=_weight, reverse=True):
        if mapping.table in tables:
            beside.append(mapping)
        else:
            tables[mapping.table] = mapping
    _items_from_shows(tables)
    _candidates_from_items(tables)
    kinds = event_kinds(tables)
    findings = [
        *about_files(
            tables, beside, unknown, [t for t in sampled if not _used(t.pattern, proposed)]
        ),
        *about_impressions(tables),
        *about_feedback(tables, kinds),
        *about_items(tables),
    ]
    order = {"missing": 0, "wrong": 1, "note": 2}
    findings.sort(key=lambda f: (not f.stops, order[f.kind]))
    return LogCheck(
        path,
        tables,
        tuple(beside),
        tuple(unknown),
        tuple(findings),
        kinds,
        event_windows(tables),
        night_count(tables.get("impressions")),
    )


def _weight(mapping: TableMapping) -> tuple[bool, bool, int, int]:
    """Of several files for one table the fullest is taken; feedback's own before columns."""
    full = "propensity" in mapping.columns or not mapping.events
    joined = mapping.table != "items" or not mapping.rows
    return full, joined, len(mapping.columns), mapping.row_count


def _used(pattern: str, proposed: list[TableMapping]) -> bool:
    return any(m.sampled.pattern == pattern for m in proposed)


def _items_from_shows(tables: dict[MappedTable, TableMapping]) -> None:
    """Where no file holds items, they are what the impressions name."""
    shown = tables.get("impressions")
    if shown is None or "items" in tables:
        return
    among, rows = shown.columns.get("candidates"), shown.rows
    item = shown.columns["item_id"]
    if isinstance(among, str):
        head, _, tail = among.partition("[*]")
        item, rows = f"{head}[]{tail}", head
    columns: dict[str, str | list[str]] = {"item_id": item, "text": item}
    tables["items"] = TableMapping(
        "items", shown.sampled, columns, rows, shown.where, text_fields=["text"]
    )


def _candidates_from_items(tables: dict[MappedTable, TableMapping]) -> None:
    """Where impressions log no candidates, every item of the catalogue may have been one."""
    shown = tables.get("impressions")
    if shown is not None and "candidates" not in shown.columns and "items" in tables:
        shown.catalog_candidates = True
