"""How well a column fits a role, by its name and its values."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mrlm.log_mapping.column_facts import ColumnFacts
from mrlm.log_mapping.role_names import event_family, name_score, tokens

Facts = Mapping[str, ColumnFacts]
_KINDS, _HIGHEST_POSITION = 60, 10_000
_REPEATED, _EXACT = 20, 4.0


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


def is_scalar(column: ColumnFacts) -> bool:
    """Whether a row has one value of it."""
    return not column.lists and not column.maps


def by_name(role: str, column: ColumnFacts) -> float:
    """A column of ids or texts, by its name."""
    if not is_scalar(column) or column.time_form in ("offset", "naive") or column.probabilities:
        return 0.0
    return name_score(role, column.source) * column.share


def person_score(role: str, column: ColumnFacts) -> float:
    """A column of users, who come again: what differs in every row is rather an id of the row."""
    score = by_name(role, column)
    once = column.distinct > _REPEATED and column.distinct == len(column.values)
    return score * (0.2 if once and name_score(role, column.source) < _EXACT else 1.0)


def time_score(role: str, column: ColumnFacts) -> float:
    """A column of times; a number is one where it is called so."""
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


def position_score(role: str, column: ColumnFacts) -> float:
    """A column of places in a list."""
    numbers = column.numbers
    fits = numbers and column.whole and min(numbers) >= 0 and max(numbers) <= _HIGHEST_POSITION
    return name_score(role, column.source) if fits else 0.0


def propensity_score(role: str, column: ColumnFacts) -> float:
    """A column of chances; that all of them are 1 is a fault of a column that is called so."""
    named = name_score(role, column.source)
    if not column.probabilities:
        certain = named >= 3 and column.numbers and all(n == 1 for n in column.numbers)
        return 1.0 if certain else 0.0
    return 2.0 + named if named else 0.0


def event_score(role: str, column: ColumnFacts) -> float:
    """A column of kinds of events."""
    if not is_scalar(column) or column.numbers or column.time_form or column.distinct > _KINDS:
        return 0.0
    known = _known_kinds(column)
    named = name_score(role, column.source)
    return named + 3.0 * known if known >= 0.5 or named >= 3.0 else 0.0


def known_event_score(role: str, column: ColumnFacts) -> float:
    """The same of a column whose values say it: one that is called ``kind`` may be a category."""
    return event_score(role, column) if _known_kinds(column) >= 0.5 else 0.0


def _known_kinds(column: ColumnFacts) -> float:
    kinds = set(column.texts)
    return sum(event_family(k) != "other" for k in kinds) / max(len(kinds), 1)


def value_score(role: str, column: ColumnFacts) -> float:
    """A column of numbers, by its name."""
    return name_score(role, column.source) if column.numbers and not column.time_form else 0.0


def kept_apart_score(role: str, column: ColumnFacts) -> float:
    """An optional column of few values, by a name that fits well."""
    named = by_name(role, column)
    return named if named >= 2.5 and not column.source.endswith("version") else 0.0


def object_score(role: str, column: ColumnFacts) -> float:
    """A column of objects, by its name."""
    return name_score(role, column.source) if column.maps else 0.0


def request_score(role: str, column: ColumnFacts) -> float:
    """A column of requests; one that is called id may be it."""
    score = by_name(role, column)
    bare = tokens(column.source) == ["id"]
    return max(score, 2.0 * bare) if column.distinct > 1 else 0.0


def once_score(role: str, column: ColumnFacts) -> float:
    """A column of ids of rows."""
    if column.distinct < 0.95 * len(column.values) or column.share < 0.9:
        return 0.0
    if not {"event", "id", "uuid", "guid", "uid"} & set(tokens(column.source)):
        return 0.0
    return by_name(role, column)


def updated_score(role: str, column: ColumnFacts) -> float:
    """A column of times of changes."""
    return name_score(role, column.source) if column.time_form else 0.0
