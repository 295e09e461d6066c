"""Running suites of expectations on tables, and reading what failed."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipelines.expectations.data_docs import write_data_docs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Severity = Literal["critical", "warning"]
_SHOWN = 5


@dataclass(frozen=True)
class Rule:
    """One expectation, and how to find the rows that break it.

    Attributes:
        name: short, what people read.
        expectation: class name in ``great_expectations.expectations``.
        arguments: of the expectation.
        expected: in words.
        why: what goes wrong downstream when it does not hold.
        severity: ``critical`` stops the table.
        failing: SQL predicate of failing rows; None where no rows can be shown.
        keys: instead, columns that must be unique together.
        told: what was seen in plain words, where a number alone would not name the fault.
        examples: what is shown in place of failing rows; JSON values.
    """

    name: str
    expectation: str
    arguments: dict[str, Any]
    expected: str
    why: str
    severity: Severity = "critical"
    failing: str | None = None
    keys: tuple[str, ...] = ()
    told: str = ""
    examples: Sequence[dict[str, Any]] = ()


@dataclass(frozen=True)
class Suite:
    """Rules on one table.

    Attributes:
        name: unique within a run.
        table: impressions, feedback or items.
        rows: a Spark DataFrame, or a pandas one of statistics.
        rules: what must hold.
        shown: columns of a failing row that people see; never a raw user identifier.
    """

    name: str
    table: str
    rows: Any
    rules: Sequence[Rule]
    shown: tuple[str, ...] = field(default=())


def run_suites(suites: Sequence[Suite], run_name: str, docs: Path) -> list[dict[str, Any]]:
    """Validate every suite and write the data docs of this run alone; returns what failed.

    Each failure is ``{table, expectation, severity, observed, expected, why, rows}``.

    Raises:
        RuntimeError: an expectation could not be evaluated.
    """
    quiet_great_expectations()
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    failures = []
    for suite in suites:
        result = _validate(context, suite, run_name)
        for rule, outcome in _outcomes(suite, result):
            if outcome.success:
                continue
            raised = _exception(outcome)
            if raised:
                raise RuntimeError(f"expectation {rule.name!r} on {suite.table}: {raised}")
            failures.append(
                {
                    "table": suite.table,
                    "expectation": rule.name,
                    "severity": rule.severity,
                    "observed": rule.told or _observed(rule, outcome.result),
                    "expected": rule.expected,
                    "why": rule.why,
                    "rows": failing_rows(suite, rule),
                }
            )
    write_data_docs(context, docs)
    return failures


def quiet_great_expectations() -> None:
    """Switch Great Expectations' analytics off; it reads this when it is imported."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"


def failing_rows(suite: Suite, rule: Rule) -> list[dict[str, Any]]:
    """A few of the rows that break the rule, as JSON values, in a fixed order."""
    if rule.examples:
        return [_plain(row) for row in rule.examples]
    if not rule.failing and not rule.keys:
        return []
    from pyspark.sql import functions as F

    rows: DataFrame = suite.rows
    if rule.keys:
        repeated = rows.groupBy(*rule.keys).count().filter("count > 1").select(*rule.keys)
        rows = rows.join(repeated, list(rule.keys), "left_semi")
    else:
        rows = rows.filter(F.expr(str(rule.failing)))
    chosen = rows.orderBy(*suite.shown).limit(_SHOWN)
    return [_plain(row.asDict()) for row in chosen.select(*suite.shown).collect()]


def _validate(context: Any, suite: Suite, run_name: str) -> Any:
    import great_expectations as gx
    import great_expectations.expectations as gxe
    import pandas as pd

    expectations = [
        getattr(gxe, rule.expectation)(
            **rule.arguments,
            severity=rule.severity,
            meta={"rule": rule.name},
            notes=" ".join(
                part for part in (rule.told, f"{rule.name}: {rule.expected}. {rule.why}") if part
            ),
        )
        for rule in suite.rules
    ]
    small = isinstance(suite.rows, pd.DataFrame)
    sources = context.data_sources
    add = sources.add_or_update_pandas if small else sources.add_or_update_spark
    asset = add(f"{suite.name}_source").add_dataframe_asset(suite.table)
    definition = gx.ValidationDefinition(
        name=suite.name,
        data=asset.add_batch_definition_whole_dataframe("night"),
        suite=context.suites.add(gx.ExpectationSuite(suite.name, expectations=expectations)),
    )
    return context.validation_definitions.add(definition).run(
        batch_parameters={"dataframe": suite.rows},
        result_format="SUMMARY",
        run_id=gx.RunIdentifier(run_name=run_name),
    )


def _outcomes(suite: Suite, result: Any) -> list[tuple[Rule, Any]]:
    by_name = {o.expectation_config.meta["rule"]: o for o in result.results}
    return [(rule, by_name[rule.name]) for rule in suite.rules]


def _exception(outcome: Any) -> str:
    info = outcome.exception_info or {}
    nested = [info, *(v for v in info.values() if isinstance(v, dict))]
    return next((str(n["exception_message"]) for n in nested if n.get("raised_exception")), "")


def _observed(rule: Rule, result: dict[str, Any]) -> Any:
    if "unexpected_count" in result and "column" in rule.arguments:
        listed = result.get("partial_unexpected_list") or []
        if result.get("element_count") == 1:
            return _value(listed[0]) if listed else None
    if "unexpected_count" in result:
        return f"{result['unexpected_count']} of {result['element_count']} rows"
    return _value(result.get("observed_value"))


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _value(value) for name, value in row.items()}


def _value(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, list | tuple):
        return [_value(v) for v in value]
    return value.item() if hasattr(value, "item") else str(value)
