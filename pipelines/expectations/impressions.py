"""Expectations on a night's impressions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mrlm.messages.message import Message
from pipelines.expectations.night_statistics import STANDARD_ERRORS
from pipelines.expectations.row_rules import RowRule
from pipelines.expectations.sampled_requests import of_requests
from pipelines.expectations.suite import Rule, Severity
from pipelines.settings.model import Validation

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SHOWN = (
    "request_id",
    "position",
    "user",
    "item_id",
    "propensity",
    "candidate_count",
    "propensity_sum",
)


# More slots move no verdict, and to sum their lists takes most of a large night's validation.
MOST_SLOTS = 1_000_000


def prepared(rows: DataFrame, number: int) -> DataFrame:
    """Clean impressions with the derived columns that the rules speak of, without the lists.

    Every row is there. Of so many that their ``number`` is above ``MOST_SLOTS``, a share is
    ``sampled``, and others have no moments of their lists.
    """
    from pyspark.sql import functions as F

    c = F.col
    logged = c("candidate_propensities")

    def total(values: Any) -> Any:
        return F.aggregate(values, F.lit(0.0), lambda a, b: a + b)

    sampled = of_requests(min(1.0, MOST_SLOTS / max(number, 1)))
    positive = sampled & F.forall(logged, lambda q: q > 0)
    count = F.size("candidates")
    entropy = -total(F.transform(logged, lambda q: q * F.log(q)))
    squares = total(F.transform(logged, lambda q: q * F.log(q) * F.log(q)))
    inverses = total(F.transform(logged, lambda q: F.try_divide(F.lit(1.0), q)))
    place = F.array_position("candidates", c("item_id")).cast("int")
    derived = rows.withColumns(
        {
            "sampled": sampled,
            "candidate_count": count,
            "shown_place": place,
            "propensity_sum": total(logged),
            "chosen_gap": F.abs(F.get(logged, place - 1) - c("propensity")),
            "nights_late": F.date_diff("arrival", "night"),
            "inverse_variance": F.when(positive, inverses - count * count),
            "entropy": F.when(positive, entropy),
            "surprise_variance": F.when(positive, squares - entropy * entropy),
        }
    )
    return derived.drop("candidates", "candidate_propensities", "context")


def row_rules(settings: Validation, late_nights: int) -> list[RowRule]:
    """What every impression must satisfy."""
    tolerance = settings.propensity_sum_tolerance
    return [
        RowRule(
            Message("one row a shown slot"),
            Message("request_id and position are unique together"),
            Message("A slot that counts twice biases every estimate."),
            keys=("request_id", "position"),
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
