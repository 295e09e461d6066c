"""How one table of a log would be read: the proposed mapping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mrlm.log_mapping.column_facts import ColumnFacts, as_text
from mrlm.log_mapping.sampled_files import SampledTable

MappedTable = Literal["impressions", "feedback", "items", "events"]


@dataclass
class TableMapping:
    """A table of the contract and where its columns lie in the files.

    Attributes:
        table: of the contract; ``events`` are those that name no request: a user's history.
        sampled: the files.
        columns: contract name to source, or to sources that are joined.
        rows: the list whose elements are the rows; empty where a row is one.
        where: column to the texts by which rows of this table are told from others.
        events: event to the column that holds its value; feedback that stands with the shows.
        text_fields: items: columns that make the text.
        attribute_fields: items: columns of numbers.
        made: contract name to why it had to be made of other columns.
        format_name: of a format that is known as a whole.
        facts: the columns that were found.
        catalog_candidates: whether every item of the catalogue counts as a candidate.
    """

    table: MappedTable
    sampled: SampledTable
    columns: dict[str, str | list[str]]
    rows: str = ""
    where: dict[str, list[str]] = field(default_factory=dict)
    events: dict[str, str] = field(default_factory=dict)
    text_fields: list[str] = field(default_factory=list)
    attribute_fields: list[str] = field(default_factory=list)
    made: dict[str, str] = field(default_factory=dict)
    format_name: str = ""
    facts: Mapping[str, ColumnFacts] = field(default_factory=dict)
    catalog_candidates: bool = False

    def column(self, name: str) -> ColumnFacts | None:
        """Facts of the column that a contract name is read from, where it is one."""
        source = self.columns.get(name)
        return self.facts.get(source) if isinstance(source, str) else None

    def texts(self, name: str) -> dict[int, str]:
        """Row to the text of a contract name; rows without it are left out."""
        source = self.columns.get(name)
        if isinstance(source, str) and source.startswith("="):
            return dict.fromkeys(range(self.row_count), source[1:])
        parts = [source] if isinstance(source, str) else (source or [])
        return self.joined(parts)

    def joined(self, parts: Sequence[str]) -> dict[int, str]:
        """Row to the texts of several columns, joined by ``|``."""
        known = [self.facts[p] for p in parts if p in self.facts]
        if not known or len(known) < len(parts):
            return {}
        maps = [{i: as_text(v) for i, v in zip(c.at, c.values, strict=True)} for c in known]
        both = set(maps[0]).intersection(*maps[1:]) if len(maps) == 1 else set().union(*maps)
        return {i: "|".join(m.get(i, "") for m in maps) for i in sorted(both)}

    def unique(self, parts: Sequence[str]) -> bool:
        """Whether several columns together differ in nearly every row."""
        values = self.joined(parts)
        return bool(values) and len(set(values.values())) >= 0.999 * len(values)

    @property
    def row_count(self) -> int:
        """Rows of the sample, as the table counts them."""
        return max((c.rows for c in self.facts.values()), default=0)
