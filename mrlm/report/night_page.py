"""What is wrong with a night's data: one page, whose first line names the fault in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mrlm.messages.message import Joined, Message, Name
from mrlm.messages.translation import Language
from mrlm.report.figures_as_text import number
from mrlm.report.page import templates
from mrlm.report.visible import visible

Failure = Mapping[str, Any]
# Of what was seen or expected; the verdict has it whole.
_LONGEST = 500
# They follow from other failures, which are told before them.
_CONSEQUENCES = (
    "mean 1/propensity",
    "mean log propensity",
    "candidate propensities sum to 1",
    "propensity is the shown candidate's",
    "as many impressions as usual",
    "as much feedback as usual",
    # Of an event: what its delivery lost is told first.
    "rate of ",
)
# Nothing else can be said of a table without them.
_FIRST = "columns of the contract"
_TABLES = ("impressions", "feedback", "items", "history")


def most_severe_first(failures: Sequence[Failure]) -> list[Failure]:
    """Critical failures before warnings, causes before what follows from them.

    Args:
        failures: each ``{table, expectation, severity, observed, expected, why, rows}`` and, where
            somebody owns it, ``owner``.
    """

    def place(failure: Failure) -> tuple[bool, bool, bool, int]:
        table = failure["table"]
        return (
            failure["severity"] != "critical",
            failure["expectation"] != _FIRST,
            failure["expectation"].startswith(_CONSEQUENCES),
            _TABLES.index(table) if table in _TABLES else len(_TABLES),
        )

    return sorted(failures, key=place)


def first_line(night: str, failures: Sequence[Failure]) -> str:
    """How the night stands, and its worst fault in plain words."""
    ordered = most_severe_first(failures)
    critical = sum(f["severity"] == "critical" for f in ordered)
    if not ordered:
        return Message("night {night} passed: nothing looks wrong", night=night)
    told = {
        "night": night,
        "counts": _counted(critical, len(ordered) - critical),
        "table": Name(ordered[0]["table"]),
        "fault": plain_words(ordered[0]),
    }
    if critical:
        return Message("night {night} is stopped ({counts}): {table}: {fault}", **told)
    return Message("night {night} passed ({counts}): {table}: {fault}", **told)


def plain_words(failure: Failure) -> str:
    """What was seen: a sentence where the check found one, else what was expected beside it."""
    observed = failure["observed"]
    seen = _harmless(number(observed))
    if isinstance(observed, str) and not observed.endswith(" rows"):
        return seen
    return Message(
        "{expectation}: saw {seen}, expected {expected}",
        expectation=_harmless(failure["expectation"]),
        seen=seen,
        expected=_harmless(failure["expected"]),
    )


def summary_text(night: str, failures: Sequence[Failure], limits: Sequence[str]) -> str:
    """The page as text.

    Args:
        night: its date.
        failures: see ``most_severe_first``.
        limits: sentences that say what would not have been found.
    """
    lines = [first_line(night, failures), ""]
    for failure in most_severe_first(failures):
        lines += [
            f"{failure['severity'].upper()}  {failure['table']}: "
            f"{visible(failure['expectation'], _LONGEST)}",
            f"  saw       {visible(failure['observed'], _LONGEST)}",
            f"  expected  {visible(failure['expected'], _LONGEST)}",
            f"  why       {visible(failure['why'], _LONGEST)}",
        ]
        if failure.get("owner"):
            lines.append(f"  owner     {visible(failure['owner'], _LONGEST)}")
        lines += [f"  such as   {visible(row, _LONGEST)}" for row in failure["rows"]]
        lines.append("")
    lines += [
        "What these checks would have found:",
        *(f"  {visible(line, _LONGEST)}" for line in limits),
    ]
    return "\n".join(lines) + "\n"


def summary_page(
    night: str,
    failures: Sequence[Failure],
    limits: Sequence[str],
    plots: Sequence[tuple[str, bytes]],
    language: Language = "en",
) -> str:
    """The page as HTML, every value as text.

    Args:
        night: its date.
        failures: see ``most_severe_first``.
        limits: sentences that say what would not have been found.
        plots: captions and the bytes of images.
        language: of the page.
    """
    environment = templates(language)
    return environment.get_template("night_page.html.j2").render(
        night=night,
        first=first_line(night, failures),
        stopped=any(f["severity"] == "critical" for f in failures),
        failures=most_severe_first(failures),
        limits=limits,
        plots=plots,
    )


def _counted(critical: int, warnings: int) -> Message:
    parts = []
    if critical:
        parts.append(Message("{failures} critical", failures=critical))
    if warnings == 1:
        parts.append(Message("1 warning"))
    elif warnings:
        parts.append(Message("{failures} warnings", failures=warnings))
    return Joined(", ", parts)


def _harmless(text: str) -> str:
    """The text as it may be shown; a message that may be shown as it is stays one."""
    shown = visible(text, _LONGEST)
    return text if shown == text else shown
