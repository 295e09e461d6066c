"""The expectations, table by table. Critical stops the night; a warning goes to the report."""

from __future__ import annotations

from typing import Any

from pipelines.settings import Settings

# An interval this many standard errors wide is left by chance about once in 16,000 nights.
_STANDARD_ERRORS = 4.0


def suites(settings: Settings, inverse_error: float, trailing: int) -> dict[str, list[Any]]:
    """Expectations by table: impressions, feedback, items, statistics.

    Args:
        settings: thresholds, lateness and the objectives' events.
        inverse_error: standard error of the mean of 1 / (propensity · candidates).
        trailing: number of passed nights that tonight is compared with.
    """
    return {
        "impressions": impressions(settings, inverse_error),
        "feedback": feedback(settings),
        "items": items(),
        "statistics": statistics(settings, trailing),
    }


def impressions(settings: Settings, inverse_error: float) -> list[Any]:
    """The contract of a bandit log, and what true propensities imply.

    Under true propensities each slot has E[1 / propensity] = number of candidates. The tolerance on
    the mean of their ratio is the larger of the setting and four standard errors, because the ratio
    has a heavy tail where the logger explores little.
    """
    import great_expectations.expectations as gxe

    validation = settings.validation
    tolerance = max(validation.inverse_propensity_tolerance, _STANDARD_ERRORS * inverse_error)
    slack = validation.propensity_sum_tolerance
    columns = ["request_id", "ts", "night", "user", "position", "item_id", "propensity"]
    return [
        gxe.ExpectTableColumnsToMatchSet(
            column_set=[*columns, "candidates"], exact_match=False, severity="critical"
        ),
        gxe.ExpectTableRowCountToBeBetween(min_value=validation.min_rows, severity="critical"),
        gxe.ExpectCompoundColumnsToBeUnique(
            column_list=["request_id", "position"], severity="critical"
        ),
        *[gxe.ExpectColumnValuesToNotBeNull(column=c, severity="critical") for c in columns],
        gxe.ExpectColumnValuesToBeBetween(
            column="propensity", min_value=0, max_value=1, strict_min=True, severity="critical"
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="candidate_count", min_value=1, severity="critical"
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="nights_late",
            min_value=0,
            max_value=settings.ingestion.late_nights,
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="propensity_sum",
            min_value=1 - slack,
            max_value=1 + slack,
            mostly=0.999,
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="propensity_gap", max_value=1e-6, mostly=0.999, severity="critical"
        ),
        gxe.ExpectColumnMeanToBeBetween(
            column="inverse_ratio",
            min_value=1 - tolerance,
            max_value=1 + tolerance,
            severity="critical",
        ),
    ]


def feedback(settings: Settings) -> list[Any]:
    """Events that objectives can be computed from."""
    import great_expectations.expectations as gxe

    events = sorted({o.event for o in settings.objectives if o.source == "feedback"})
    return [
        gxe.ExpectColumnValuesToBeUnique(column="event_id", severity="critical"),
        gxe.ExpectColumnValuesToNotBeNull(column="value", severity="critical"),
        gxe.ExpectColumnValuesToBeInSet(column="event", value_set=events, severity="warning"),
        gxe.ExpectColumnValuesToNotBeNull(
            column="impression_night", mostly=0.9, severity="warning"
        ),
    ]


def items() -> list[Any]:
    """Items that can be embedded."""
    import great_expectations.expectations as gxe

    return [
        gxe.ExpectColumnValuesToBeUnique(column="item_id", severity="critical"),
        gxe.ExpectColumnValuesToBeBetween(column="text_length", min_value=1, severity="critical"),
    ]


def statistics(settings: Settings, trailing: int) -> list[Any]:
    """Shares of the whole night, and tonight against the nights before."""
    import great_expectations.expectations as gxe

    validation = settings.validation
    found = [
        gxe.ExpectColumnMaxToBeBetween(
            column="unknown_item_share",
            max_value=validation.unknown_item_share,
            severity="critical",
        ),
        gxe.ExpectColumnMaxToBeBetween(
            column="quarantined_share",
            max_value=validation.quarantined_share,
            severity="warning",
        ),
    ]
    bounds = {
        "row_count_ratio": validation.row_count_ratio,
        "feedback_rate_ratio": validation.feedback_rate_ratio,
    }
    for column, (low, high) in bounds.items() if trailing else ():
        found.append(
            gxe.ExpectColumnMaxToBeBetween(
                column=column, min_value=low, max_value=high, severity="warning"
            )
        )
    return found
