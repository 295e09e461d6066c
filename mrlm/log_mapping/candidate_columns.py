"""Which lists of a log are the candidates of a show, and their chances."""

from __future__ import annotations

from collections.abc import Mapping

from mrlm.log_mapping.column_facts import ColumnFacts, as_text, listed_columns
from mrlm.log_mapping.column_scores import Facts
from mrlm.log_mapping.role_names import name_score, tokens
from mrlm.log_mapping.row_lists import as_long, listed_texts, probable

_SHOWN_IN = 0.9


def with_candidates(facts: Facts, found: dict[str, str], rows: str) -> None:
    """Add the candidates, their propensities, and the item where a row gives its number only."""
    lists = {
        inner.source: inner
        for column in facts.values()
        if (column.lists or listed_texts(column)) and not column.source.endswith("[]")
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
        called = name_score("candidate_propensities", source.split("[")[0]) >= 3 and probable(
            column
        )
        chances = _chances(column) or called
        if source != among.source and chances and as_long(among, column):
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
