"""Whether and how the rows of a table tell when they were."""

from __future__ import annotations

from collections.abc import Iterator

from mrlm.log_mapping.findings.finding import LogFinding
from mrlm.log_mapping.proposal import TableMapping


def about_times(table: TableMapping) -> Iterator[LogFinding]:
    """What is to be known of a table's times."""
    column = table.column("ts")
    if "ts" not in table.columns:
        yield LogFinding(
            "missing",
            table.table,
            "no time: no row tells when it was, so it belongs to no night",
            stops=True,
        )
    elif column is not None and column.time_form == "naive":
        yield LogFinding(
            "wrong",
            table.table,
            f"{column.source} has times without an offset: they are read as what the clocks of "
            "ingestion.time_zone showed, UTC by default. Set it, if the log's clocks show another",
        )
    elif column is not None and column.time_form == "date":
        yield LogFinding(
            "wrong",
            table.table,
            f"{column.source} has dates without a time of day: neither sessions nor what came "
            "before what can be told",
        )
    elif column is not None and column.time_form in ("seconds", "milliseconds", "microseconds"):
        text = f"{column.source} counts {column.time_form} since 1970"
        yield LogFinding("note", table.table, text)
