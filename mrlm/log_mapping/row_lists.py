"""Rows that lie in lists: one line a request, whose elements are the rows."""

from __future__ import annotations

from mrlm.log_mapping.column_facts import ColumnFacts, as_list, columns_of, listed_columns
from mrlm.log_mapping.column_scores import Facts
from mrlm.log_mapping.role_names import name_score


def unrolled(facts: Facts) -> tuple[Facts, str]:
    """Facts with an element of a list as the row, and the list; where there is none, as before."""
    lists = {s: c for s, c in facts.items() if c.lists or listed_texts(c)}
    best: tuple[float, str, tuple[str, ...]] = (0.0, "", ())
    for source, column in lists.items():
        inner = listed_columns(column)
        objects = any(s.startswith(f"{source}[*].") for s in inner)
        if objects:
            scores = [name_score("item_id", s) for s in inner]
            chance = any(probable(c) for c in inner.values())
            score = max(scores, default=0.0) + 2.0 * chance
            if max(scores, default=0.0) > 0 and score > best[0]:
                best = (score, source, (source,))
        elif name_score("item_id", source) > 0 or name_score("candidates", source) > 0:
            # Lists side by side: one of items, one of their chances.
            beside = tuple(s for s, c in lists.items() if s != source and as_long(column, c))
            if any(probable(lists[s]) for s in beside) and best[0] < 1.0:
                best = (1.0, source, (source, *beside))
    _, name, along = best
    if not name:
        return facts, ""
    return elements_of(facts, along), name


def listed_texts(column: ColumnFacts) -> bool:
    """Whether its values are lists, or texts of lists."""
    return bool(column.values) and all(as_list(v) is not None for v in column.values[:100])


def as_long(one: ColumnFacts, other: ColumnFacts) -> bool:
    """Whether two columns have lists of one length in every row."""
    lengths = dict(zip(one.at, (len(as_list(v) or ()) for v in one.values), strict=True))
    return all(
        lengths.get(i) == len(as_list(v) or ()) for i, v in zip(other.at, other.values, strict=True)
    )


def probable(column: ColumnFacts) -> bool:
    """Whether the elements of its lists are probabilities."""
    values = [e for v in column.values for e in (as_list(v) or [])]
    flat = ColumnFacts(column.source, tuple(values), tuple(range(len(values))), len(values))
    return flat.probabilities


def elements_of(facts: Facts, along: tuple[str, ...]) -> Facts:
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
