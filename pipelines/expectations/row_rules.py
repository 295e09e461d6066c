"""Rules that every row of a table must satisfy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrlm.messages.message import Message
from pipelines.expectations.one_pass import sums
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
        keys: instead, columns that must be unique together, or with ``place``.
        place: a column of whole numbers, that tells the rows of one key apart.
        most: share of rows that may break it.
        severity: ``critical`` stops the table.
    """

    name: Message
    expected: Message
    why: Message
    failing: str = ""
    keys: tuple[str, ...] = ()
    place: str = ""
    most: float = 0.0
    severity: Severity = "critical"

    def breaches(self) -> Column:
        """How many rows break it, where it is one about rows."""
        from pyspark.sql import functions as F

        return F.count_if(F.expr(self.failing))

    def repeats(self, rows: DataFrame) -> int:
        """How many rows there are more than keys, where it is one about keys.

        Keys are told apart by a hash, which is quicker than by texts, and 64 places of a key by
        bits of one number, so that Spark keeps a group for a key and none for each row. Two keys of
        one hash, at 10^8 rows a chance of one in three thousand, would be looked up and found to
        differ.
        """
        from pyspark.sql import functions as F

        whole, block, bit = F.lit(True), F.lit(0), F.lit(1).cast("long")
        for key in self._unique():
            whole = whole & F.col(key).isNotNull()
        if self.place:
            block = F.expr(f"cast(floor({self.place} / 64) as long)")
            bit = F.expr(f"shiftleft(1L, cast(pmod({self.place}, 64) as int))")
        key = F.xxhash64(*self.keys, block)
        keys = (
            rows.filter(whole)
            .groupBy(key)
            .agg(F.count("*").alias("rows"), F.bit_or(bit).alias("places"))
        )
        (found,) = keys.agg(F.sum(F.col("rows") - F.bit_count("places"))).collect()
        return int(found[0] or 0)

    def _unique(self) -> tuple[str, ...]:
        return (*self.keys, self.place) if self.place else self.keys

    def broken(self, rows: DataFrame) -> DataFrame:
        """The rows that break it."""
        from pyspark.sql import functions as F

        if not self.keys:
            return rows.filter(F.expr(self.failing))
        unique = self._unique()
        repeated = rows.groupBy(*unique).count().filter("count > 1").select(*unique)
        return rows.join(repeated, list(unique), "left_semi")


def row_sums(rules: Sequence[RowRule]) -> dict[str, Column]:
    """Aggregates that count the rows, and those that break each rule but that of unique keys."""
    from pyspark.sql import functions as F

    breaches = {f"rule_{i}": r.breaches() for i, r in enumerate(rules) if not r.keys}
    return {_TOTAL: F.count("*"), **breaches}


def key_repeats(rows: DataFrame, rules: Sequence[RowRule]) -> dict[str, int]:
    """What breaks the rules of unique keys.

    By a pass of its own for each: beside them, every other sum would be kept for each key.
    """
    return {f"rule_{i}": r.repeats(rows) for i, r in enumerate(rules) if r.keys}


def counted(table: str, rows: DataFrame, rules: Sequence[RowRule], shown: Sequence[str]) -> Suite:
    """Count what breaks the rules, and judge it; see ``judged``."""
    found = sums(rows, row_sums(rules)) | key_repeats(rows, rules)
    return judged(table, rows, rules, shown, found)


def judged(
    table: str,
    rows: DataFrame,
    rules: Sequence[RowRule],
    shown: Sequence[str],
    found: Mapping[str, Any],
) -> Suite:
    """The rules as a suite on one row of shares. Rows are looked up only for a broken rule.

    Args:
        table: impressions, feedback, items or history.
        rows: of the table.
        rules: what every row must satisfy.
        shown: columns of a failing row that people see; never a raw user identifier.
        found: values of ``row_sums`` and ``key_repeats``.
    """
    import pandas as pd

    total = found[_TOTAL]
    shares, suite = {}, []
    for i, rule in enumerate(rules):
        number, told, examples = found[f"rule_{i}"], "", list[dict[str, Any]]()
        if number / max(total, 1) > rule.most:
            number, examples = _examples(rule, rows, shown, number)
            told = Message("{rows} of {total} rows", rows=number, total=total)
        shares[str(rule.name)] = number / max(total, 1)
        suite.append(
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
    return Suite(table, table, one_row, suite)


def _examples(
    rule: RowRule, rows: DataFrame, shown: Sequence[str], number: int
) -> tuple[int, list[dict[str, Any]]]:
    """How many rows break a rule, and a few of them, as JSON values, in a fixed order."""
    broken = rule.broken(rows)
    if rule.keys:
        number = broken.count()
    chosen = broken.orderBy(*shown).limit(_SHOWN).select(*shown).collect()
    return number, [{k: plain_value(v) for k, v in row.asDict().items()} for row in chosen]
