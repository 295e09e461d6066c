"""Which table of the log contract a sampled table may be, and which of its columns is what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from mrlm.log_mapping.column_facts import (
    ColumnFacts,
    as_list,
    as_text,
    columns_of,
    listed_columns,
)
from mrlm.log_mapping.known_formats import known_mappings
from mrlm.log_mapping.proposal import TableMapping
from mrlm.log_mapping.role_names import event_family, feedback_name, name_score, tokens
from mrlm.log_mapping.sampled_files import Row, SampledTable

Facts = Mapping[str, ColumnFacts]
_KINDS, _HIGHEST_POSITION = 60, 10_000
_SHOWN_IN = 0.9
_JOINED = 6
_REPEATED, _EXACT = 20, 4.0
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
        facts, rows = _unrolled(sampled.rows, facts)
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


def assign(
    facts: Facts, roles: Mapping[str, Callable[[str, ColumnFacts], float]]
) -> dict[str, str]:
    """Each role's best column: role to source; a column has one role.

    Args:
        facts: the columns.
        roles: role to a score of a column, 0 where it cannot be that.
    """
    scored = [
        (score(role, column), -i, role, source)
        for role, score in roles.items()
        for i, (source, column) in enumerate(facts.items())
    ]
    found: dict[str, str] = {}
    for value, _, role, source in sorted(scored, key=lambda s: (s[0], s[1]), reverse=True):
        if value > 0 and role not in found and source not in found.values():
            found[role] = source
    return found


def _scalar(column: ColumnFacts) -> bool:
    return not column.lists and not column.maps


def _by_name(role: str, column: ColumnFacts) -> float:
    """A column of ids or texts, by its name."""
    if not _scalar(column) or column.time_form in ("offset", "naive") or column.probabilities:
        return 0.0
    return name_score(role, column.source) * column.share


def _person(role: str, column: ColumnFacts) -> float:
    """A column of users, who come again: what differs in every row is rather an id of the row."""
    score = _by_name(role, column)
    once = column.distinct > _REPEATED and column.distinct == len(column.values)
    return score * (0.2 if once and name_score(role, column.source) < _EXACT else 1.0)


def _time(role: str, column: ColumnFacts) -> float:
    if not column.time_form:
        return 0.0
    named = name_score(role, column.source)
    dated = column.time_form in ("offset", "naive")
    # A number that could be a time is one if it is called so.
    return (
        (named + 2.0 * dated + (column.time_form != "date")) * column.share
        if named or dated
        else 0.0
    )


def _position(role: str, column: ColumnFacts) -> float:
    numbers = column.numbers
    fits = numbers and column.whole and min(numbers) >= 0 and max(numbers) <= _HIGHEST_POSITION
    return name_score(role, column.source) if fits else 0.0


def _propensity(role: str, column: ColumnFacts) -> float:
    named = name_score(role, column.source)
    if not column.probabilities:
        certain = named >= 3 and column.numbers and all(n == 1 for n in column.numbers)
        return 1.0 if certain else 0.0
    return 2.0 + named if named else 0.0


def _event(role: str, column: ColumnFacts) -> float:
    if not _scalar(column) or column.numbers or column.time_form or column.distinct > _KINDS:
        return 0.0
    kinds = set(column.texts)
    known = sum(event_family(k) != "other" for k in kinds) / max(len(kinds), 1)
    named = name_score(role, column.source)
    return named + 3.0 * known if known >= 0.5 or named >= 3.0 else 0.0


def _value(role: str, column: ColumnFacts) -> float:
    return name_score(role, column.source) if column.numbers and not column.time_form else 0.0


def _kept_apart(role: str, column: ColumnFacts) -> float:
    """An optional column of few values, by a name that fits well."""
    named = _by_name(role, column)
    return named if named >= 2.5 and not column.source.endswith("version") else 0.0


def _object(role: str, column: ColumnFacts) -> float:
    return name_score(role, column.source) if column.maps else 0.0


def _shown(facts: Facts) -> bool:
    """Whether a row itself names an item, or the number of one."""
    return any(name_score("item_id", s) > 0 and _scalar(c) for s, c in facts.items()) or any(
        c.probabilities for c in facts.values() if _scalar(c)
    )


def _unrolled(rows: Sequence[Row], facts: Facts) -> tuple[Facts, str]:
    """Facts with an element of a list as the row, and the list; where there is none, as before."""
    lists = {s: c for s, c in facts.items() if c.lists or _listed_texts(c)}
    best: tuple[float, str, tuple[str, ...]] = (0.0, "", ())
    for source, column in lists.items():
        inner = listed_columns(column)
        objects = any(s.startswith(f"{source}[*].") for s in inner)
        if objects:
            scores = [name_score("item_id", s) for s in inner]
            chance = any(_probable(c) for c in inner.values())
            score = max(scores, default=0.0) + 2.0 * chance
            if max(scores, default=0.0) > 0 and score > best[0]:
                best = (score, source, (source,))
        elif name_score("item_id", source) > 0 or name_score("candidates", source) > 0:
            # Lists side by side: one of items, one of their chances.
            beside = tuple(s for s, c in lists.items() if s != source and _as_long(column, c))
            if any(_probable(lists[s]) for s in beside) and best[0] < 1.0:
                best = (1.0, source, (source, *beside))
    _, name, along = best
    if not name:
        return facts, ""
    return _elements(facts, along), name


def _listed_texts(column: ColumnFacts) -> bool:
    return bool(column.values) and all(as_list(v) is not None for v in column.values[:100])


def _as_long(one: ColumnFacts, other: ColumnFacts) -> bool:
    lengths = dict(zip(one.at, (len(as_list(v) or ()) for v in one.values), strict=True))
    return all(
        lengths.get(i) == len(as_list(v) or ()) for i, v in zip(other.at, other.values, strict=True)
    )


def _probable(column: ColumnFacts) -> bool:
    values = [e for v in column.values for e in (as_list(v) or [])]
    flat = ColumnFacts(column.source, tuple(values), tuple(range(len(values))), len(values))
    return flat.probabilities


def _elements(facts: Facts, along: tuple[str, ...]) -> Facts:
    """Columns of rows that are elements of lists, with the columns around them."""
    lengths = {
        i: len(as_list(v) or ())
        for i, v in zip(facts[along[0]].at, facts[along[0]].values, strict=True)
    }
    starts, number = {}, 0
    for i, n in lengths.items():
        starts[i] = number
        number += n
    found: dict[str, ColumnFacts] = {}
    for source, column in facts.items():
        if source in along:
            pairs: dict[str, tuple[list[object], list[int]]] = {}
            for i, value in zip(column.at, column.values, strict=True):
                for k, element in enumerate(as_list(value) or ()):
                    inner = columns_of([element]) if isinstance(element, dict) else None
                    told = (
                        {f"{source}[].{s}": c.values[0] for s, c in inner.items()}
                        if inner is not None
                        else {f"{source}[]": element}
                    )
                    for name, v in told.items():
                        values, at = pairs.setdefault(name, ([], []))
                        values.append(v)
                        at.append(starts.get(i, 0) + k)
            for name, (values, at) in pairs.items():
                found[name] = ColumnFacts(name, tuple(values), tuple(at), number)
            continue
        repeated = [
            (starts[i] + k, v)
            for i, v in zip(column.at, column.values, strict=True)
            if i in starts
            for k in range(lengths[i])
        ]
        found[source] = ColumnFacts(
            source, tuple(v for _, v in repeated), tuple(i for i, _ in repeated), number
        )
    numbers = [k + 1 for n in lengths.values() for k in range(n)]
    place = f"{along[0]}[#]"
    found[place] = ColumnFacts(place, tuple(numbers), tuple(range(number)), number)
    return found


def _mixed(sampled: SampledTable, facts: Facts) -> list[TableMapping]:
    """Shows and what came of them in one file, told apart by the kind of the event."""
    kinds = assign(facts, {"event": _event})
    chance = assign(facts, {"propensity": _propensity})
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
        if not once or not _scalar(column) or column.time_form in ("offset", "naive"):
            return 0.0
        words = tokens(column.source)
        bare = 2.5 if words and set(words) <= {"id", "key", "uuid", "code", "sku"} else 0.0
        name = name_score(role, column.source) if not column.wordy else 0.0
        return max(name, bare)

    named = assign(facts, {"item_id": item})
    if not named:
        return None
    others = {s: c for s, c in facts.items() if s != named["item_id"]}
    people = assign(others, {"user_id": _person, "request_id": _by_name, "position": _position})
    if hint != "items" and (
        {"user_id", "position"} & set(people)
        or assign(others, {"event": _event})
        or any(c.probabilities and name_score("propensity", s) >= 3 for s, c in others.items())
        or (assign(others, {"ts": _time}) and not any(c.wordy for c in others.values()))
    ):
        return None

    def words(role: str, column: ColumnFacts) -> float:
        if not _scalar(column) or column.time_form or column.numbers:
            return 0.0
        return name_score(role, column.source) + 2.0 * column.wordy

    def listed(role: str, column: ColumnFacts) -> float:
        few = column.lists or column.distinct < 0.5 * len(column.values)
        return name_score(role, column.source) if few and not column.numbers else 0.0

    more = assign(
        others, {"text": words, "category": listed, "provider": _kept_apart, "updated_at": _updated}
    )
    texts = [more["text"]] if "text" in more else []
    for source, column in others.items():
        if column.wordy and source not in (*more.values(), *texts) and len(texts) < 4:
            texts.append(source)
    if not texts:
        # Codes are better than nothing: items alike have them in common.
        texts = [s for s, c in others.items() if _scalar(c) and not c.numbers and not c.time_form][
            :4
        ]
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


def _updated(role: str, column: ColumnFacts) -> float:
    return name_score(role, column.source) if column.time_form else 0.0


def _impressions(
    sampled: SampledTable,
    facts: Facts,
    rows: str,
    hint: str,
    where: dict[str, list[str]],
) -> TableMapping | None:
    roles: dict[str, Callable[[str, ColumnFacts], float]] = {
        "propensity": _propensity,
        "ts": _time,
        "item_id": _by_name,
        "user_id": _person,
        "session_id": _kept_apart,
        "request_id": _request,
        "position": _position,
        "scene": _kept_apart,
        "policy_id": _kept_apart,
        "context": _object,
    }
    found = assign(facts, roles)
    if "propensity" not in found:
        # What lies between 0 and 1 and has no name that says another thing may be one.
        chances = [s for s, c in facts.items() if c.probabilities and _scalar(c) and c.share > 0.9]
        if len(chances) == 1:
            found["propensity"] = chances[0]
    if rows and "position" not in found:
        found["position"] = f"{rows}[#]"
    _with_candidates(facts, found, rows)
    told = {s: feedback_name(s) for s in facts}
    fed = any(
        n and s not in found.values() and _scalar(facts[s]) and 0.0 in facts[s].numbers
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


def _request(role: str, column: ColumnFacts) -> float:
    score = _by_name(role, column)
    bare = tokens(column.source) == ["id"]
    return max(score, 2.0 * bare) if column.distinct > 1 else 0.0


def _with_candidates(facts: Facts, found: dict[str, str], rows: str) -> None:
    """Add the candidates, their propensities, and the item where a row gives its number only."""
    lists = {
        inner.source: inner
        for column in facts.values()
        if (column.lists or _listed_texts(column)) and not column.source.endswith("[]")
        for inner in listed_columns(column).values()
    }
    item = facts.get(found.get("item_id", ""))
    shares = {s: _contained(item, c) for s, c in lists.items()} if item is not None else {}
    best = max(shares, key=lambda s: (round(shares[s], 2), name_score("candidates", s)), default="")
    if best and shares[best] >= _SHOWN_IN:
        found["candidates"] = best
    elif not rows:
        _by_number(facts, lists, found)
    if "candidates" not in found:
        named = [
            s
            for s in lists
            if name_score("candidates", s.split("[")[0]) >= 3 and not _chances(lists[s])
        ]
        if named and item is not None and shares.get(named[0], 0) > 0:
            found["candidates"] = named[0]
    among = lists.get(found.get("candidates", ""))
    if among is None:
        return
    for source, column in lists.items():
        called = name_score("candidate_propensities", source.split("[")[0]) >= 3 and _probable(
            column
        )
        chances = _chances(column) or called
        if source != among.source and chances and _as_long(among, column):
            found["candidate_propensities"] = source
    if "propensity" not in found and "candidate_propensities" in found:
        # That of the item that was shown, by its place among the candidates.
        head, _, tail = found["candidate_propensities"].partition("[*]")
        number = f"{found['candidates']}={found['item_id']}"
        if "[" in found["item_id"]:
            number = found["item_id"].partition("[")[2].rpartition("]")[0]
        found["propensity"] = f"{head}[{number}]{tail}"


def _contained(item: ColumnFacts, lists: ColumnFacts) -> float:
    """Share of the lists that hold the shown item of their row."""
    shown = dict(zip(item.at, item.texts, strict=False))
    pairs = [(shown[i], v) for i, v in zip(lists.at, lists.values, strict=True) if i in shown]
    many = [p for p in pairs if isinstance(p[1], list) and len(p[1]) > 1]
    if not many:
        return 0.0
    return sum(item in map(as_text, values) for item, values in many) / len(many)


def _by_number(facts: Facts, lists: Mapping[str, ColumnFacts], found: dict[str, str]) -> None:
    """The item as the number of one of the candidates, from 0 or from 1."""
    pools = [
        s
        for s, c in lists.items()
        if not _chances(c) and name_score("candidates", s.split("[")[0]) > 0
    ]
    for pool in pools:
        lengths = dict(zip(lists[pool].at, map(len, lists[pool].values), strict=True))
        for source, column in facts.items():
            if not column.numbers or not column.whole or len(column.numbers) != len(column.at):
                continue
            if name_score("item_id", source) <= 0 and not {
                "index",
                "chosen",
                "idx",
                "selected",
            } & set(tokens(source)):
                continue
            pairs = [
                (n, lengths[i])
                for i, n in zip(column.at, column.numbers, strict=True)
                if i in lengths
            ]
            if not pairs:
                continue
            base = 0 if any(n == 0 for n, _ in pairs) else 1
            if all(base <= n < length + base for n, length in pairs):
                number = source if base == 0 else f"{source}-1"
                found["item_id"] = pool.replace("[*]", f"[{number}]")
                found["candidates"] = pool
                return


def _chances(column: ColumnFacts) -> bool:
    """Whether its lists are probabilities that sum to 1."""
    lists = [
        ColumnFacts("", tuple(v), tuple(range(len(v))), len(v)).numbers for v in column.values[:500]
    ]
    sums = [sum(n) for n in lists if n and all(0 <= x <= 1 for x in n)]
    return len(sums) >= 0.9 * len(lists) and all(abs(s - 1) < 0.02 for s in sums)


def _fill_keys(mapping: TableMapping) -> None:
    """Sources for keys that the log does not name, out of what it has."""
    columns, facts = mapping.columns, mapping.facts
    if "user_id" not in columns:
        parts = [
            s
            for s, c in facts.items()
            if {"user", "customer", "visitor", "member", "person"} & set(tokens(s))
            and not {"affinity", "item"} & set(tokens(s))
            and _scalar(c)
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
        "event": _event,
        "ts": _time,
        "item_id": _by_name,
        "user_id": _person,
        "request_id": _request,
        "event_id": _once,
        "value": _value,
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


def _once(role: str, column: ColumnFacts) -> float:
    if column.distinct < 0.95 * len(column.values) or column.share < 0.9:
        return 0.0
    if not {"event", "id", "uuid", "guid", "uid"} & set(tokens(column.source)):
        return 0.0
    return _by_name(role, column)


def _listed_feedback(shown: TableMapping) -> list[TableMapping]:
    """Feedback that stands in the impressions as a list of events."""
    roles = {"event": _event, "ts": _time, "value": _value, "item_id": _by_name}
    for source, column in shown.facts.items():
        if not column.lists or "[" in source:
            continue
        elements = _elements(shown.facts, (source,))
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
        if not name or source in used or not column.numbers or not _scalar(column):
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
