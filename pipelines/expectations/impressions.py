"""Expectations on a night's impressions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mrlm.messages.message import Message
from pipelines.expectations.night_statistics import STANDARD_ERRORS
from pipelines.expectations.row_rules import RowRule
from pipelines.expectations.shown_slots import SLOT_COLUMNS
from pipelines.expectations.suite import Rule, Severity
from pipelines.settings.validation import Validation

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

SHOWN = (
    "request_id",
    "position",
    "user",
    "item_id",
    "propensity",
    "candidate_count",
    "propensity_sum",
)


def prepared(rows: DataFrame, counted: Column) -> DataFrame:
    """Clean impressions with the derived columns that the rules speak of.

    Of the table's own columns those that rules, ``slots_of`` and people need; lists only of slots
    that are ``counted`` there: to hand on all of them takes a sixth of a large night's validation.
    """
    from pyspark.sql import functions as F

    c = F.col
    logged = c("candidate_propensities")
    place = F.array_position("candidates", c("item_id")).cast("int")
    derived = {
        "candidate_count": F.size("candidates"),
        "shown_place": place,
        "propensity_sum": F.aggregate(logged, F.lit(0.0), lambda a, b: a + b),
        "chosen_gap": F.abs(F.get(logged, place - 1) - c("propensity")),
        "nights_late": F.date_diff("arrival", "night"),
    }
    lists = {n: F.when(counted, c(n)) for n in ("candidates", "candidate_propensities")}
    own = ("user", *(n for n in SLOT_COLUMNS if n not in lists))
    return rows.select(*own, *(value.alias(n) for n, value in (lists | derived).items()))


def row_rules(settings: Validation, late_nights: int) -> list[RowRule]:
    """What every impression must satisfy."""
    tolerance = settings.propensity_sum_tolerance
    return [
        RowRule(
            Message("one row a shown slot"),
            Message("request_id and position are unique together"),
            Message("A slot that counts twice biases every estimate."),
            keys=("request_id",),
            place="position",
        ),
        RowRule(
            Message("known user"),
            Message("user is not null"),
            Message("Users are the unit of independence."),
            failing="user is null",
        ),
        RowRule(
            Message("propensity in range"),
            Message("0 < propensity <= 1"),
            Message("Importance weights divide by it."),
            failing="not (propensity > 0 and propensity <= 1)",
        ),
        RowRule(
            Message("candidates"),
            Message("at least one candidate"),
            Message("A decision chooses among candidates."),
            failing="candidate_count < 1",
        ),
        RowRule(
            Message("shown item is a candidate"),
            Message("the shown item is in its candidate set"),
            Message("Its probability under another policy would be 0."),
            failing="shown_place < 1",
        ),
        RowRule(
            Message("candidate propensities sum to 1"),
            Message("1 within {tolerance} where they are logged", tolerance=tolerance),
            Message("They are not the probabilities of one choice."),
            failing=f"abs(propensity_sum - 1) > {tolerance}",
        ),
        RowRule(
            Message("propensity is the shown candidate's"),
            Message("equal within 1e-6 where candidate propensities are logged"),
            Message("The log contradicts itself about the logging policy."),
            failing="chosen_gap > 1e-6",
        ),
        RowRule(
            Message("propensity of one slot"),
            Message("propensity_kind is conditional"),
            Message(
                "Each slot is evaluated as a decision of its own; marginal and whole-list "
                "propensities belong to other estimators."
            ),
            failing="propensity_kind <> 'conditional'",
        ),
        RowRule(
            Message("time near the night"),
            Message(
                "the slot's night is the arrival night or up to {nights} before", nights=late_nights
            ),
            Message("The row belongs to another night."),
            failing=f"not (nights_late between 0 and {late_nights})",
        ),
    ]


def statistic_rules(
    settings: Validation, found: Mapping[str, Any], trailing: Sequence[Mapping[str, Any]]
) -> list[Rule]:
    """What the night's impressions must satisfy together; columns of the statistics table."""
    rules = [
        Rule(
            Message("enough impressions"),
            "ExpectColumnValuesToBeBetween",
            {"column": "impressions", "min_value": settings.min_rows},
            Message("at least {least} rows", least=settings.min_rows),
            Message("Nothing can be learned from fewer."),
        ),
        _share(
            Message("unknown items"), "unknown_item_share", settings.unknown_item_share, "critical"
        ),
        _share(
            Message("impressions in quarantine"),
            "impressions_quarantined_share",
            settings.quarantined_share,
            "warning",
        ),
        *_propensity_rules(settings, found),
    ]
    if trailing and found.get("impressions_ratio") is not None:
        low, high = settings.row_count_ratio
        rules.append(
            Rule(
                Message("as many impressions as usual"),
                "ExpectColumnValuesToBeBetween",
                {"column": "impressions_ratio", "min_value": low, "max_value": high},
                Message(
                    "{low:g} to {high:g} times the median of the trailing nights",
                    low=low,
                    high=high,
                ),
                Message("Part of the log may be missing or doubled."),
                "warning",
            )
        )
    return rules


def _propensity_rules(settings: Validation, found: Mapping[str, Any]) -> list[Rule]:
    """The logged propensities against what was really shown; see ``propensity_moments``.

    The allowed gap is the tolerance or, where there are too few rows to see one so small, five
    standard errors. Without logged candidate propensities the standard error is the sample's, which
    is too small when large values of 1/p are so rare that none was seen: the mean then lies
    below the candidate count although the log is true. That side only warns.
    """
    rules = []
    for column, name, identity in (
        (
            "inverse_propensity",
            Message("mean 1/propensity is the candidate count"),
            Message("mean 1/p over mean K"),
        ),
        (
            "log_propensity",
            Message("mean log propensity is minus the entropy"),
            Message("mean log p over entropy"),
        ),
    ):
        gap, error = found.get(f"{column}_gap"), found.get(f"{column}_error")
        if gap is None or error is None:
            continue
        allowed = max(settings.inverse_propensity_tolerance, STANDARD_ERRORS * error)
        exact = found["logged_slots"] == found["slots"]
        bounds: list[tuple[Message, dict[str, float], Severity]] = [
            (name, {"min_value": -allowed, "max_value": allowed}, "critical")
        ]
        if not exact:
            bounds = [
                (Message("{rule} or less", rule=name), {"max_value": allowed}, "critical"),
                (Message("{rule} or more", rule=name), {"min_value": -allowed}, "warning"),
            ]
        rules += [
            Rule(
                own,
                "ExpectColumnValuesToBeBetween",
                {"column": f"{column}_gap", **limits},
                Message(
                    "a relative gap of at most {allowed:.3g} ({identity})",
                    allowed=allowed,
                    identity=identity,
                ),
                Message("The items shown were not drawn with the propensities that were logged."),
                severity,
            )
            for own, limits, severity in bounds
        ]
    return rules


def _share(name: Message, column: str, largest: float, severity: Severity) -> Rule:
    return Rule(
        name,
        "ExpectColumnValuesToBeBetween",
        {"column": column, "max_value": largest},
        Message("a share of at most {most:g}", most=largest),
        Message("What is left may no longer stand for the night."),
        severity,
    )
