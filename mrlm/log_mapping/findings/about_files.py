"""Files that hold no table, two files for one, and how a table's files are kept."""

from __future__ import annotations

from collections.abc import Iterator

from mrlm.log_mapping.findings.finding import LogFinding
from mrlm.log_mapping.proposal import MappedTable, TableMapping
from mrlm.log_mapping.sampled_files import SampledFile, SampledTable

_NAMES = 20


def about_files(
    tables: dict[MappedTable, TableMapping],
    beside: list[TableMapping],
    unknown: list[SampledFile],
    unplaced: list[SampledTable],
) -> Iterator[LogFinding]:
    """What is to be known of the files.

    Args:
        tables: table to the mapping that is taken.
        beside: mappings of tables that another file holds already.
        unknown: files that hold no table.
        unplaced: what was read, and is none of the tables.
    """
    for file in unknown[:10]:
        yield LogFinding("note", "", f"{file.path.name} {file.problem or 'holds no rows'}")
    for sampled in unplaced:
        names = list(sampled.first.rows[0])
        shown = ", ".join(names[:_NAMES]) + (", …" if len(names) > _NAMES else "")
        yield LogFinding(
            "note",
            "",
            f"{sampled.pattern} was read, and is none of the tables that are looked for; its "
            f"columns are {shown}. Where it is one of them, map them by hand",
        )
    for mapping in beside:
        if mapping.table == "feedback" and mapping.events:
            yield LogFinding(
                "note",
                "feedback",
                f"columns of the impressions tell of {', '.join(mapping.events)} too; those of "
                f"{tables['feedback'].sampled.pattern} are taken",
            )
            continue
        yield LogFinding(
            "wrong",
            mapping.table,
            f"{mapping.sampled.pattern} also looks like {mapping.table}, and a table is read from "
            f"one place: {tables[mapping.table].sampled.pattern} is taken. Where both belong to "
            "it, put them into one folder with the same columns",
        )
    for table, mapping in tables.items():
        sampled = mapping.sampled
        if any(f.packed == "zip" for f in sampled.files):
            yield LogFinding(
                "wrong",
                table,
                "ingestion reads no zip: unpack it, or pack it as gzip, and name that in the path",
            )
        if sampled.unread:
            text = f"{sampled.unread} of the sampled rows cannot be read; they will be quarantined"
            yield LogFinding("wrong", table, text)
        if not sampled.nights and table in ("impressions", "feedback", "events"):
            yield LogFinding(
                "note",
                table,
                "the path names no night: each night takes the rows whose own time lies in it",
            )
