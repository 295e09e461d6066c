"""Rules that every row of a table must satisfy, counted together in one pass over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrlm.messages.message import Message
from pipelines.expectations.suite import Rule, Severity, Suite, plain_value

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_SHOWN = 5
_TOTAL = "rows"


@dataclass(frozen=True)
class RowRule:
    """What every row must satisfy.

    Attributes:
        name: short, what people read.
        expected: in words.
        why: what goes wrong downstream when a row does not.
        failing: SQL predicate of rows that break it; null is no breach.
        keys: instead, columns that must be unique together.
        most: share of rows that may break it.
        severity: ``critical`` stops the table.
    """

    name: Message
    expected: Message
    why: Message
    failing: str = ""
    keys: tuple[str, ...] = ()
    most: float = 0.0
    severity: Severity = "critical"

    def breaches(self) -> Column:
        """How many rows break it; of keys, how many rows there are more than hashes of keys."""
        from pyspark.sql import functions as F

        if not self.keys:
            return F.count_if(F.expr(self.failing))
        whole = F.lit(True)
        for key in self.keys:
            whole = whole & F.col(key).isNotNull()
        # A hash is quicker to tell apart than texts. Two keys of one hash, at 10^8 rows a chance of
        # one in three thousand, would be looked up and found to differ.
        return F.count_if(whole) - F.count_distinct(F.when(whole, F.xxhash64(*self.keys)))

    def broken(self, rows: DataFrame) -> DataFrame:
        """The rows that break it."""
        from pyspark.sql import functions as F

        if not self.keys:
            return rows.filter(F.expr(self.failing))
        repeated = rows.groupBy(*self.keys).count().filter("count > 1").select(*self.keys)
        return rows.join(repeated, list(self.keys), "left_semi")


def counted(
    table: str,
    rows: DataFrame,
    rules: Sequence[RowRule],
    shown: Sequence[str],
    more: Mapping[str, Column],
) -> tuple[Suite, dict[str, Any]]:
    """Count what breaks the rules, and ``more`` aggregates, in one pass, and one for unique keys.

    Beside the keys, every other sum would be kept for each key until keys are told apart. Rows are
    looked up only for a rule that is broken.

    Args:
        table: impressions, feedback or items.
        rows: of the table.
        rules: what every row must satisfy.
        shown: columns of a failing row that people see; never a raw user identifier.
        more: name to an aggregate.

    Returns:
        The rules as a suite on one row of counts, and the values of ``more``.
    """
    import pandas as pd
    from pyspark.sql import functions as F

    def sums(columns: Mapping[str, Column]) -> dict[str, Any]:
        if not columns:
            return {}
        (row,) = rows.agg(*[value.alias(name) for name, value in columns.items()]).collect()
        return dict(row.asDict())

    counts = {f"rule_{i}": r.breaches() for i, r in enumerate(rules) if not r.keys}
    found = sums({_TOTAL: F.count("*"), **counts, **more})
    found |= sums({f"rule_{i}": r.breaches() for i, r in enumerate(rules) if r.keys})
    total = found[_TOTAL]
    shares, judged = {}, []
    for i, rule in enumerate(rules):
        number, told, examples = found[f"rule_{i}"], "", list[dict[str, Any]]()
        if number / max(total, 1) > rule.most:
            number, examples = _examples(rule, rows, shown, number)
            told = Message("{rows} of {total} rows", rows=number, total=total)
        shares[str(rule.name)] = number / max(total, 1)
        judged.append(
            Rule(
                rule.name,
                "ExpectColumnValuesToBeBetween",
                {"column": str(rule.name), "max_value": rule.most},
                rule.expected,
                rule.why,
                rule.severity,
                told,
                examples,
            )
        )
    one_row = pd.DataFrame({name: [float(value)] for name, value in shares.items()})
    return Suite(table, table, one_row, judged), {n: found[n] for n in (_TOTAL, *more)}


def _examples(
    rule: RowRule, rows: DataFrame, shown: Sequence[str], number: int
) -> tuple[int, list[dict[str, Any]]]:
    """How many rows break a rule, and a few of them, as JSON values, in a fixed order."""
    broken = rule.broken(rows)
    if rule.keys:
        number = broken.count()
    chosen = broken.orderBy(*shown).limit(_SHOWN).select(*shown).collect()
    return number, [{k: plain_value(v) for k, v in row.asDict().items()} for row in chosen]
