"""Running suites of expectations on tables, and reading what failed."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mrlm.messages.message import Joined, Message
from mrlm.messages.translation import Language, translated
from pipelines.expectations.data_docs import write_data_docs

Severity = Literal["critical", "warning"]


@dataclass(frozen=True)
class Rule:
    """One expectation.

    Attributes:
        name: short, what people read.
        expectation: class name in ``great_expectations.expectations``.
        arguments: of the expectation.
        expected: in words.
        why: what goes wrong downstream when it does not hold.
        severity: ``critical`` stops the table.
        told: what was seen in words, where the number that is compared would not say it.
        examples: rows that break it; JSON values.
    """

    name: Message
    expectation: str
    arguments: dict[str, Any]
    expected: Message
    why: Message
    severity: Severity = "critical"
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
    """

    name: str
    table: str
    rows: Any
    rules: Sequence[Rule]


def run_suites(
    suites: Sequence[Suite], run_name: str, docs: Path, language: Language = "en"
) -> list[dict[str, Any]]:
    """Validate every suite and write the data docs of this run alone; returns what failed.

    Each failure is ``{table, expectation, severity, observed, expected, why, rows}``. The notes of
    the data docs are in the language; the rest of their words is Great Expectations' own.

    Raises:
        RuntimeError: an expectation could not be evaluated.
    """
    quiet_great_expectations()
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    failures = []
    for suite in suites:
        result = _validate(context, suite, run_name, language)
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
                    "observed": rule.told or _observed(outcome.result),
                    "expected": rule.expected,
                    "why": rule.why,
                    "rows": list(rule.examples),
                }
            )
    write_data_docs(context, docs)
    return failures


def quiet_great_expectations() -> None:
    """Switch Great Expectations' analytics off; it reads this when it is imported."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"


def _validate(context: Any, suite: Suite, run_name: str, language: Language) -> Any:
    import great_expectations as gx
    import great_expectations.expectations as gxe
    import pandas as pd

    expectations = [
        getattr(gxe, rule.expectation)(
            **rule.arguments,
            severity=rule.severity,
            meta={"rule": str(rule.name)},
            notes=translated(_notes(rule), language),
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


def _notes(rule: Rule) -> Message:
    asked = Message(
        "{name}: {expected}. {why}", name=rule.name, expected=rule.expected, why=rule.why
    )
    return Joined(" ", [*([rule.told] if rule.told else []), asked])


def _outcomes(suite: Suite, result: Any) -> list[tuple[Rule, Any]]:
    by_name = {o.expectation_config.meta["rule"]: o for o in result.results}
    return [(rule, by_name[rule.name]) for rule in suite.rules]


def _exception(outcome: Any) -> str:
    info = outcome.exception_info or {}
    nested = [info, *(v for v in info.values() if isinstance(v, dict))]
    return next((str(n["exception_message"]) for n in nested if n.get("raised_exception")), "")


def _observed(result: dict[str, Any]) -> Any:
    if "unexpected_count" in result:
        # Numbers are judged in tables of one row.
        listed = result.get("partial_unexpected_list") or []
        return plain_value(listed[0]) if listed else None
    return plain_value(result.get("observed_value"))


def plain_value(value: Any) -> Any:
    """A value as JSON has it; what is no number there is a text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, list | tuple):
        return [plain_value(v) for v in value]
    return value.item() if hasattr(value, "item") else str(value)
