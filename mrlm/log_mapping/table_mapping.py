"""Which table of the log contract a sampled table may be, and which of its columns is what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from mrlm.log_mapping.candidate_columns import with_candidates
from mrlm.log_mapping.column_facts import ColumnFacts, columns_of
from mrlm.log_mapping.column_scores import (
    Facts,
    assign,
    by_name,
    event_score,
    is_scalar,
    kept_apart_score,
    known_event_score,
    object_score,
    once_score,
    person_score,
    position_score,
    propensity_score,
    request_score,
    time_score,
    updated_score,
    value_score,
)
from mrlm.log_mapping.known_formats import known_mappings
from mrlm.log_mapping.proposal import TableMapping
from mrlm.log_mapping.role_names import feedback_name, name_score, tokens
from mrlm.log_mapping.row_lists import elements_of, unrolled
from mrlm.log_mapping.sampled_files import SampledTable

_JOINED = 6
_PATH_HINTS = {
    "impressions": {
        "impression",
        "exposure",
        "shown",
        "display",
        "recommendation",
        "serve",
        "decision",
    },
    "feedback": {"feedback", "click", "event", "interaction", "action", "reward", "conversion"},
    "items": {"item", "catalog", "catalogue", "product", "article", "content", "movie", "film"},
}


def propose(sampled: SampledTable) -> list[TableMapping]:
    """What a sampled table may be read as; nothing where it is no log that is known.

    A log of one row a request gives impressions, and feedback and items from the same rows.
    """
    known = known_mappings(sampled)
    if known:
        return known
    rows = ""
    facts: Facts = columns_of(sampled.rows)
    if not _shown(facts):
        facts, rows = unrolled(facts)
    mixed = _mixed(sampled, facts)
    if mixed:
        return mixed
    hint = _hint(sampled.name)
    return _table(sampled, facts, rows, hint)


def _table(
    sampled: SampledTable,
    facts: Facts,
    rows: str,
    hint: str,
    where: dict[str, list[str]] | None = None,
) -> list[TableMapping]:
    where = where or {}
    items = _items(sampled, facts, hint)
    if items is not None and not where:
        return [items]
    events = _events(sampled, facts, where, rows)
    shown = _impressions(sampled, facts, rows, hint, where)
    # A column of kinds says events; what is one thing in every row may as well be a show.
    kinds = events is not None and "event" not in events.made
    if shown is not None and ("propensity" in shown.columns or not kinds):
        return [shown, *_columns_as_feedback(shown)]
    return [events] if events is not None else []


def _hint(name: str) -> str:
    """The table that the file's own name, else its folders', speak of."""
    for part in reversed(name.split("/")):
        words = {w.removesuffix("s") for w in tokens(part)}
        for table, known in _PATH_HINTS.items():
            if words & known:
                return table
    return ""


def _shown(facts: Facts) -> bool:
    """Whether a row itself names an item, or the number of one."""
    return any(name_score("item_id", s) > 0 and is_scalar(c) for s, c in facts.items()) or any(
        c.probabilities for c in facts.values() if is_scalar(c)
    )


def _mixed(sampled: SampledTable, facts: Facts) -> list[TableMapping]:
    """Shows and what came of them in one file, told apart by the kind of the event."""
    kinds = assign(facts, {"event": event_score})
    chance = assign(facts, {"propensity": propensity_score})
    if not kinds or not chance or facts[chance["propensity"]].share > 0.98:
        return []
    event = facts[kinds["event"]]
    shows = set(facts[chance["propensity"]].at)
    of = dict(zip(event.at, event.texts, strict=True)) if len(event.texts) == len(event.at) else {}
    shown = sorted({kind for i, kind in of.items() if i in shows})
    others = sorted(set(of.values()) - set(shown))
    if not shown or not others:
        return []
    found = []
    for kept, hint in ((shown, "impressions"), (others, "feedback")):
        rows = [r for i, r in enumerate(sampled.rows) if of.get(i) in kept]
        found += _table(sampled, columns_of(rows), "", hint, {event.source: kept})
    return [m for m in found if m.table != "items"]


def _items(sampled: SampledTable, facts: Facts, hint: str) -> TableMapping | None:
    # Each night may bring all items again.
    one_file = columns_of(sampled.first.rows)

    def item(role: str, column: ColumnFacts) -> float:
        there = one_file.get(column.source, column)
        once = there.distinct >= 0.95 * len(there.values) and column.share > 0.95
        if not once or not is_scalar(column) or column.time_form in ("offset", "naive"):
            return 0.0
        words = tokens(column.source)
        bare = 2.5 if words and set(words) <= {"id", "key", "uuid", "code", "sku"} else 0.0
        name = name_score(role, column.source) if not column.wordy else 0.0
        return max(name, bare)

    named = assign(facts, {"item_id": item})
    if not named:
        return None
    others = {s: c for s, c in facts.items() if s != named["item_id"]}
    people = assign(
        others, {"user_id": person_score, "request_id": by_name, "position": position_score}
    )
    if hint != "items" and (
        {"user_id", "position"} & set(people)
        or assign(others, {"event": known_event_score})
        or any(c.probabilities and name_score("propensity", s) >= 3 for s, c in others.items())
        or (
            assign(others, {"event": event_score, "ts": time_score})
            and not any(c.wordy for c in others.values())
        )
    ):
        return None

    def words(role: str, column: ColumnFacts) -> float:
        if not is_scalar(column) or column.time_form or column.numbers:
            return 0.0
        return name_score(role, column.source) + 2.0 * column.wordy

    def listed(role: str, column: ColumnFacts) -> float:
        few = column.lists or column.distinct < 0.5 * len(column.values)
        return name_score(role, column.source) if few and not column.numbers else 0.0

    more = assign(
        others,
        {
            "text": words,
            "category": listed,
            "provider": kept_apart_score,
            "updated_at": updated_score,
        },
    )
    texts = [more["text"]] if "text" in more else []
    for source, column in others.items():
        if column.wordy and source not in (*more.values(), *texts) and len(texts) < 4:
            texts.append(source)
    if not texts:
        # Codes are better than nothing: items alike have them in common.
        texts = [
            s for s, c in others.items() if is_scalar(c) and not c.numbers and not c.time_form
        ][:4]
    texts = texts or [named["item_id"]]
    numeric = [
        s
        for s, c in others.items()
        if c.numbers
        and not c.time_form
        and s not in more.values()
        and not _index(s)
        and "." not in s
    ]
    columns: dict[str, str | list[str]] = {"item_id": named["item_id"]}
    columns |= {r: s for r, s in more.items() if r != "text"}
    return TableMapping(
        "items", sampled, columns, text_fields=texts, attribute_fields=numeric[:8], facts=facts
    )


def _index(source: str) -> bool:
    """Whether a column is the row's own number."""
    return source.startswith("_c") or source.lower() in (
        "index",
        "unnamed: 0",
        "`unnamed: 0`",
        "row",
    )


def _impressions(
    sampled: SampledTable,
    facts: Facts,
    rows: str,
    hint: str,
    where: dict[str, list[str]],
) -> TableMapping | None:
    roles: dict[str, Callable[[str, ColumnFacts], float]] = {
        "propensity": propensity_score,
        "ts": time_score,
        "item_id": by_name,
        "user_id": person_score,
        "session_id": kept_apart_score,
        "request_id": request_score,
        "position": position_score,
        "scene": kept_apart_score,
        "policy_id": kept_apart_score,
        "context": object_score,
    }
    found = assign(facts, roles)
    if "propensity" not in found:
        # What lies between 0 and 1 and has no name that says another thing may be one.
        chances = [
            s for s, c in facts.items() if c.probabilities and is_scalar(c) and c.share > 0.9
        ]
        if len(chances) == 1:
            found["propensity"] = chances[0]
    if rows and "position" not in found:
        found["position"] = f"{rows}[#]"
    with_candidates(facts, found, rows)
    told = {s: feedback_name(s) for s in facts}
    fed = any(
        n and s not in found.values() and is_scalar(facts[s]) and 0.0 in facts[s].numbers
        for s, n in told.items()
    )
    strong = "propensity" in found or "candidates" in found or hint == "impressions"
    weak = "position" in found or (fed and hint != "feedback")
    if "item_id" not in found or not (strong or (weak and {"user_id", "request_id"} & set(found))):
        return None
    columns: dict[str, str | list[str]] = dict(found)
    mapping = TableMapping("impressions", sampled, columns, rows=rows, where=where, facts=facts)
    _fill_keys(mapping)
    return mapping


def _fill_keys(mapping: TableMapping) -> None:
    """Sources for keys that the log does not name, out of what it has."""
    columns, facts = mapping.columns, mapping.facts
    if "user_id" not in columns:
        parts = [
            s
            for s, c in facts.items()
            if {"user", "customer", "visitor", "member", "person"} & set(tokens(s))
            and not {"affinity", "item"} & set(tokens(s))
            and is_scalar(c)
            and c.share > 0.5
        ]
        if parts:
            columns["user_id"] = parts[:_JOINED] if len(parts) > 1 else parts[0]
            mapping.made["user_id"] = "no column of users: these attributes of users stand for one"
        elif "session_id" in columns:
            columns["user_id"] = columns["session_id"]
            mapping.made["user_id"] = "no column of users: a session stands for one"
    if "position" not in columns:
        columns["position"] = "=1"
        mapping.made["position"] = "no position: every row is taken as the only slot of its request"
    else:
        place = str(columns["position"])
        numbers = facts[place].numbers if place in facts else ()
        if numbers and min(numbers) == 0:
            columns["position"] = f"{place} + 1"
            mapping.made["position"] = "positions count from 0 in the log"
    if "request_id" not in columns and "ts" in columns:
        users = columns.get("user_id", [])
        parts = [str(columns["ts"]), *([users] if isinstance(users, str) else users)]
        if columns["position"] == "=1" or not mapping.unique([*parts, _first(columns["position"])]):
            parts.append(_first(columns["item_id"]))
        columns["request_id"] = parts[: _JOINED + 2]
        mapping.made["request_id"] = "no column of requests: these together stand for one"
    if "user_id" not in columns and "request_id" in columns:
        columns["user_id"] = columns["request_id"]
        mapping.made["user_id"] = "no column of users: each request counts as a user of its own"


def _first(source: str | list[str]) -> str:
    return (source if isinstance(source, str) else source[0]).removesuffix(" + 1")


def _events(
    sampled: SampledTable, facts: Facts, where: dict[str, list[str]], rows: str
) -> TableMapping | None:
    """Events of users: feedback where they name the request, else a history."""
    roles: dict[str, Callable[[str, ColumnFacts], float]] = {
        "event": event_score,
        "ts": time_score,
        "item_id": by_name,
        "user_id": person_score,
        "request_id": request_score,
        "event_id": once_score,
        "value": value_score,
    }
    found = assign(facts, roles)
    if "value" not in found and "event" not in found:
        numeric = [
            s for s, c in facts.items() if feedback_name(s) and c.numbers and not c.time_form
        ]
        if numeric:
            found["value"] = numeric[0]
    if "event" not in found and "value" not in found:
        return None
    if not {"request_id", "user_id"} & set(found) or not {"item_id", "request_id"} & set(found):
        return None
    columns: dict[str, str | list[str]] = dict(found)
    table: Literal["feedback", "events"] = "feedback" if "request_id" in found else "events"
    mapping = TableMapping(table, sampled, columns, rows, where, facts=facts)
    if "event" not in found:
        name = feedback_name(found["value"]) or "reward"
        columns["event"] = f"={name}"
        mapping.made["event"] = "no column of kinds: every row is one"
    if "value" not in found:
        columns["value"] = "=1"
        mapping.made["value"] = "no value: 1 for each event"
    if "event_id" not in found:
        keys = ("request_id", "user_id", "item_id", "event", "ts")
        parts = [str(columns[k]) for k in keys if k in columns and k in found]
        columns["event_id"] = parts
        mapping.made["event_id"] = "no column of event ids: these together stand for one"
    return mapping


def _listed_feedback(shown: TableMapping) -> list[TableMapping]:
    """Feedback that stands in the impressions as a list of events."""
    roles = {"event": event_score, "ts": time_score, "value": value_score, "item_id": by_name}
    for source, column in shown.facts.items():
        if not column.lists or "[" in source:
            continue
        elements = elements_of(shown.facts, (source,))
        inner = {s: c for s, c in elements.items() if s.startswith(f"{source}[].")}
        found = assign(inner, roles)
        if "event" not in found or (shown.rows and "item_id" not in found):
            continue
        columns: dict[str, str | list[str]] = {
            name: found.get(name, shown.columns.get(name, ""))
            for name in ("request_id", "item_id", "ts", *found)
            if name in found or name in shown.columns
        }
        made = {"event_id": "no column of event ids: these together stand for one"}
        if "value" not in found:
            columns["value"] = "=1"
            made["value"] = "no value: 1 for each event"
        request = columns.get("request_id", [])
        parts = [request] if isinstance(request, str) else [*request]
        parts += [_first(columns[k]) for k in ("item_id", "event", "ts") if k in columns]
        columns["event_id"] = parts
        return [
            TableMapping(
                "feedback", shown.sampled, columns, source, shown.where, made=made, facts=elements
            )
        ]
    return []


def _columns_as_feedback(shown: TableMapping) -> list[TableMapping]:
    """Feedback that stands in columns of the impressions."""
    used = {s for v in shown.columns.values() for s in ([v] if isinstance(v, str) else v)}
    events: dict[str, str] = {}
    for source, column in shown.facts.items():
        name = feedback_name(source)
        if not name or source in used or not column.numbers or not is_scalar(column):
            continue
        if column.time_form or (column.probabilities and "rate" in tokens(source)):
            continue
        negated = name == "cost" or name.endswith("_cost")
        events["reward" if negated else name] = f"-{source}" if negated else source
    if not events:
        return _listed_feedback(shown)
    keys = ("request_id", "item_id", "ts")
    columns = {k: shown.columns[k] for k in keys if k in shown.columns}
    return [
        TableMapping(
            "feedback",
            shown.sampled,
            columns,
            rows=shown.rows,
            where=shown.where,
            events=events,
            facts=shown.facts,
        )
    ]
