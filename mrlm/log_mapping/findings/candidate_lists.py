"""Lists that the rows of impressions hold."""

from __future__ import annotations

from mrlm.log_mapping.column_facts import as_list, as_text
from mrlm.log_mapping.proposal import TableMapping


def lists_of(mapping: TableMapping, name: str) -> dict[int, list[str]]:
    """Row to the elements of a column of lists that is named as it is."""
    source = mapping.columns.get(name)
    if not isinstance(source, str):
        return {}
    column = mapping.facts.get(source.split("[*]")[0])
    if column is None:
        return {}
    found = {}
    for i, value in zip(column.at, column.values, strict=True):
        values = as_list(value)
        if values:
            found[i] = [as_text(v) for v in values]
    return found
