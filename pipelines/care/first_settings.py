"""A first settings file out of what was found in a log, with what is missing as comments."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from mrlm.log_mapping.log_check import LogCheck
from mrlm.log_mapping.proposal import TableMapping
from mrlm.log_mapping.role_names import event_family
from mrlm.report.visible import visible

_WIDTH, _LONGEST = 98, 300
_TABLES = ("impressions", "feedback", "items")
# What a company is likelier to want is asked first.
_WANTED = (
    *("purchase", "rating", "cart", "share", "dwell", "click", "save", "follow", "comment"),
    *("other", "browse", "complaint"),
)
# Events whose value is a quantity, and not only a yes.
_MEASURED = ("reward", "rating", "dwell", "revenue", "amount")
_MANY_REQUESTS = 100_000
_NAME = re.compile(r"[^a-z0-9]+")


def first_settings(check: LogCheck, home: Path) -> str:
    """The text of a settings file that reads the log as it was understood.

    Args:
        check: of the log.
        home: folder in which the file will lie; paths below it are written relative to it.

    Returns:
        TOML. Where a table was not found its path names a place that is still to be filled.
    """
    lines = [*_head(check), 'workspace = "workspace"', "", *_inputs(check)]
    for table in _TABLES:
        found = check.tables.get(table)  # type: ignore[call-overload]
        lines += ["", *(_table(table, found, home) if found else _absent(table))]
    told = check.tables.get("events")
    if told is not None:
        kinds = ", ".join(f"{k} ({event_family(k)})" for k in check.event_kinds)
        lines += ["", *_told(f"Events that name no request, for the user's history: {kinds}.")]
        lines += _table("history", told, home)
    lines += ["", *_ingestion(check), *_state_and_objectives(check), *_split(check)]
    lines += _embedding(check)
    return "\n".join(lines).rstrip("\n") + "\n"


def _head(check: LogCheck) -> Iterator[str]:
    yield from _told(
        f"Proposed by 'mrlm logs check' from a sample of {check.root.name}; read it all."
    )
    words = {"missing": "Missing", "wrong": "Looks wrong", "note": "Note"}
    for kind, word in words.items():
        for finding in check.findings:
            if finding.kind == kind and kind != "note":
                where = f"{finding.table}: " if finding.table else ""
                yield from _told(f"{word}: {where}{finding.text}")


def _told(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(visible(text, 2000), _WIDTH - 2)]


def _inputs(check: LogCheck) -> Iterator[str]:
    yield "[inputs]"
    items, shown = check.tables.get("items"), check.tables.get("impressions")
    if items is not None:
        fields = [_field(name) for name in items.text_fields] or ["text"]
        yield f"text_fields = {_list(fields)}"
        if items.attribute_fields:
            yield f"attribute_fields = {_list([_field(n) for n in items.attribute_fields])}"
    if shown is not None and shown.catalog_candidates:
        yield from _told("No candidates are logged: every known item counts as one.")
        yield 'candidates = "catalog"'
    fed = check.tables.get("feedback")
    if fed is not None and "item_id" not in fed.columns:
        yield from _told("Events name their request alone: they belong to its only slot.")
        yield 'feedback_names = "request"'


def _table(table: str, mapping: TableMapping, home: Path) -> Iterator[str]:
    if mapping.format_name:
        yield from _told(f"In the format {mapping.format_name}.")
    yield f"[inputs.{table}]"
    sampled = mapping.sampled
    if any(f.packed == "zip" for f in sampled.files):
        yield from _told("Unpack it: ingestion reads no zip.")
    yield f"path = {_quote(_place(sampled.pattern, home))}"
    if sampled.first.format != "json":
        yield f"format = {_quote(str(sampled.first.format))}"
    if sampled.first.format == "csv" and sampled.first.delimiter != ",":
        yield f"delimiter = {_quote(sampled.first.delimiter)}"
    if mapping.rows:
        yield f"rows = {_quote(mapping.rows)}"
    if mapping.where:
        inner = ", ".join(f"{_key(k)} = {_list(v)}" for k, v in mapping.where.items())
        yield f"where = {{{inner}}}"
    if mapping.events:
        inner = ", ".join(f"{_key(k)} = {_quote(v)}" for k, v in mapping.events.items())
        yield f"events = {{{inner}}}"
    columns = _columns(mapping)
    if columns:
        yield f"[inputs.{table}.columns]"
    for name, source in columns.items():
        if name in mapping.made:
            yield from _told(mapping.made[name])
        yield f"{_key(name)} = {_quote(source) if isinstance(source, str) else _list(source)}"


def _columns(mapping: TableMapping) -> dict[str, str | list[str]]:
    found = {n: s for n, s in mapping.columns.items() if s != n}
    for name in (*mapping.text_fields, *mapping.attribute_fields):
        if _field(name) != name:
            found[_field(name)] = name
    return found


def _field(source: str) -> str:
    """The name of an item's field: of a path its last one."""
    return source if re.fullmatch(r"[\w-]+", source) else _slug(source)


def _absent(table: str) -> Iterator[str]:
    yield from _told(f"Missing: no file was found that holds {table}. Name it, once there is one.")
    yield f"[inputs.{table}]"
    yield f'path = "missing/{table}/{{night}}"'


def _ingestion(check: LogCheck) -> Iterator[str]:
    shown = check.tables.get("impressions")
    if shown is None:
        return
    lines = []
    if "propensity" not in shown.columns:
        lines += [*_told("No propensity is logged."), 'propensity = "estimated"']
    time = shown.column("ts")
    if time is not None and time.time_form in ("naive", "date"):
        lines += [
            *_told("The zone of the clocks that the log's times were read from; they do not say."),
            'time_zone = "UTC"',
        ]
    user = shown.made.get("user_id", "")
    if "stand" in user:
        lines += [
            *_told("A user here may be many people, so no number of requests is a bot's."),
            f"bot_requests_per_night = {_MANY_REQUESTS}",
        ]
    if lines:
        yield from ("[ingestion]", *lines, "")


def _ranked(check: LogCheck) -> list[str]:
    """Kinds of events, what is likelier wanted first."""

    def rank(kind: str) -> tuple[int, int]:
        family = event_family(kind)
        reward = kind == "reward"
        return (0 if reward else 1 + _WANTED.index(family)), -check.event_kinds[kind]

    return sorted(check.event_kinds, key=rank)


def _state_and_objectives(check: LogCheck) -> Iterator[str]:
    kinds = _ranked(check) or ["click"]
    names: dict[str, str] = {}
    for kind in kinds:
        name = f"no_{_slug(kind)}" if _is_unwanted(kind) else _slug(kind)
        names[kind] = name if name not in names.values() else f"{name}_{len(names)}"
    star = kinds[0]
    yield "[state]"
    yield f"history_objective = {_quote(names[star])}"
    for i, kind in enumerate(kinds):
        yield ""
        if i == 0:
            yield from _told(
                "What the company really wants; another event may be it. missing = 0.0 says that "
                "a slot without the event had none."
            )
        yield "[[objectives]]"
        yield f"name = {_quote(names[kind])}"
        yield 'source = "feedback"'
        if i == 0:
            yield 'role = "north_star"'
        yield f"event = {_quote(kind)}"
        if _is_unwanted(kind):
            yield from _told("The fewer the better, and objectives are raised: 0 with the event.")
            yield 'transform = "none"'
            yield "missing = 1.0"
        else:
            yield f'transform = "{"value" if _measured(kind, check) else "any"}"'
            yield "missing = 0.0"
        window = check.window_nights.get(kind, 0)
        if window:
            yield from _told("So many nights after the show events still come, in the sample.")
            yield f"window_nights = {window}"
    yield ""


def _is_unwanted(kind: str) -> bool:
    return event_family(kind) == "complaint"


def _measured(kind: str, check: LogCheck) -> bool:
    """Whether the value of an event matters beside its being there."""
    fed = check.tables.get("feedback") or check.tables.get("events")
    if fed is None:
        return False
    source = fed.events.get(kind) or fed.columns.get("value", "")
    column = fed.facts.get(source.lstrip("-")) if isinstance(source, str) else None
    if column is None or not column.numbers:
        return False
    values = {n for n in column.numbers if n != 0}
    if not fed.events:
        events = fed.texts("event")
        of = dict(zip(column.at, column.numbers, strict=False))
        values = {n for i, n in of.items() if events.get(i) == kind}
    return len(values) > 1


def _split(check: LogCheck) -> Iterator[str]:
    number = check.night_count
    window = max(check.window_nights.values(), default=0)
    if 0 < number <= 3 + window + 1:
        yield "[split]"
        yield from _told(f"The log has {number} nights; with the defaults none of them is judged.")
        yield "tune_nights = 1"
        yield "gate_nights = 1"
        yield ""


def _embedding(check: LogCheck) -> Iterator[str]:
    items = check.tables.get("items")
    if items is None:
        return
    wordy = any(c.wordy for s in items.text_fields if (c := items.facts.get(s)))
    if not wordy:
        yield "[embedding]"
        yield from _told("The items' texts are codes, in which a language model reads nothing.")
        yield 'encoder = "hashing"'


def _place(pattern: str, home: Path) -> str:
    whole = Path(pattern).absolute()
    try:
        return str(whole.relative_to(home.absolute()))
    except ValueError:
        return str(whole)


def _slug(text: str) -> str:
    name = _NAME.sub("_", text.lower()).strip("_")[:60]
    return name if re.match(r"[a-z]", name) else f"event_{name}".rstrip("_")


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quote(name)


def _quote(text: str) -> str:
    """A TOML basic string."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04X}" for c in plain) + '"'


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_quote, values))}]"
