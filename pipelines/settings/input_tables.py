"""Where the raw tables of a log lie, and how their columns are read."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from pipelines.settings.night_path import checked_night_path, names_night
from pipelines.settings.section import Section
from spark_jobs.contract.log_contract import CANDIDATE_SET_ID, HISTORY, RAW, TABLES
from spark_jobs.reading.sources import parse_path, parse_source


class InputTable(Section):
    """Where one of the three raw inputs lies and what its columns are called."""

    path: str = Field(
        description="Path with {night}, or {night:%Y%m%d} for dates in another form: the arrival "
        "partition of one night. Without it the path holds all nights, and each takes the rows of "
        "its own time."
    )

    @field_validator("path")
    @classmethod
    def _known_form(cls, path: str) -> str:
        return checked_night_path(path)

    format: Literal["json", "csv", "parquet"] = Field(
        "json", description="json: JSON lines; csv: with a header line; parquet."
    )
    columns: dict[str, str | list[str]] = Field(
        default_factory=dict,
        description="Contract name to the name in the file, or to a path into nested rows, a "
        "=constant, a -negated number, or a list of these that is joined by |; names that agree "
        "are left out.",
    )
    delimiter: str = Field(
        ",", min_length=1, max_length=1, description="Of CSV: the character between fields."
    )
    rows: str | None = Field(
        None,
        description="Path of a list whose elements are the rows, where a line holds several; [] in "
        "other paths is that element.",
    )
    where: dict[str, str | list[str]] = Field(
        default_factory=dict,
        description="Path to the texts that a line of this table has there (* any, empty text: "
        "none), for files that hold other lines too.",
    )
    events: dict[str, str] = Field(
        default_factory=dict,
        description="Feedback only: event to the path of its value, for logs that keep feedback in "
        "columns; each is an event where the value is neither empty, 0 nor false.",
    )

    @model_validator(mode="after")
    def _paths(self) -> InputTable:
        paths = [*self.where, *([self.rows] if self.rows is not None else [])]
        for path in paths:
            parse_path(path)
        sources = [*self.events.values()]
        for source in self.columns.values():
            sources += [source] if isinstance(source, str) else source
        for text in sources:
            parse_source(text)
        return self

    @property
    def whole(self) -> bool:
        """Whether one path holds the rows of all nights."""
        return not names_night(self.path)


class Inputs(Section):
    """The log contract's three tables."""

    impressions: InputTable = Field(description="What was shown, one row a slot.")
    feedback: InputTable = Field(description="What happened, one row an event.")
    items: InputTable = Field(description="What can be shown, one row an item.")
    history: InputTable | None = Field(
        None,
        description="Events of users that name no request, of every kind: they go into the user's "
        "history.",
    )
    text_fields: list[str] = Field(
        default=["text"], description="Item fields joined into the text that is embedded."
    )
    attribute_fields: list[str] = Field(
        default=[], description="Top-level numeric item fields that are taken as attributes."
    )
    candidates: Literal["logged", "catalog"] = Field(
        "logged",
        description="logged: an impression without candidates is quarantined; catalog: it gets "
        "every item that is known on its night.",
    )
    feedback_names: Literal["slot", "request"] = Field(
        "slot",
        description="slot: an event names its request and its item; request: an event without an "
        "item belongs to the only slot of its request.",
    )
    candidate_set_path: str | None = Field(
        default=None,
        description="Path with {night} of a table (candidate_set_id, candidates[]), for logs that "
        "name their candidate sets instead of repeating them.",
    )
    sent_path: str | None = Field(
        default=None,
        description="Path with {night} of a JSON object that says how many events of each name the "
        "logger sent for a night. Where it is set, a night without it is refused, and a loss is "
        "known to the event.",
    )

    @field_validator("candidate_set_path", "sent_path")
    @classmethod
    def _known_form(cls, path: str | None) -> str | None:
        return None if path is None else checked_night_path(path)

    @field_validator("sent_path")
    @classmethod
    def _of_one_night(cls, path: str | None) -> str | None:
        if path is not None and not names_night(path):
            raise ValueError(
                f"{path!r} is one count for all nights: name each night's by {{night}}"
            )
        return path

    def table(self, name: str) -> InputTable:
        """The input of one table of the contract."""
        found: InputTable = getattr(self, name)
        return found

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that the settings have."""
        return TABLES if self.history is None else (*TABLES, HISTORY)

    def contract_columns(self, name: str) -> set[str]:
        """Columns of a table that are read, by their names in the contract."""
        known = {field.name for field in RAW[name]}
        if name == "items":
            known.update(self.text_fields, self.attribute_fields)
        if name == "impressions" and self.candidate_set_path is not None:
            known.add(CANDIDATE_SET_ID)
        return known
