"""The page of a night: the worst fault in its first line, every value as text."""

from __future__ import annotations

from typing import Any

from mrlm.messages.message import Message
from mrlm.messages.translation import translated
from mrlm.report.drift_plot import drift_plot
from mrlm.report.night_page import (
    first_line,
    most_severe_first,
    plain_words,
    summary_page,
    summary_text,
)
from tests.hostile import HOSTILE, LONG, Elements

NIGHT = "2026-11-20"


def failure(expectation: str, observed: Any, severity: str = "critical", **more: Any) -> dict:
    return {
        "table": "impressions",
        "expectation": expectation,
        "severity": severity,
        "observed": observed,
        "expected": "at most 0.25",
        "why": "Estimates divide by it.",
        "rows": [{"item_id": "m7"}],
        "owner": "ranking",
    } | more


FAILURES = [
    failure("as many impressions as usual", 0.2, "warning"),
    failure("mean 1/propensity is the candidate count", 1.7),
    failure("one row an event", "2 of 10 rows", table="feedback"),
    failure("shows follow the propensities", "logged as if uniform: item m7 shown 431 times"),
]


def test_a_cause_is_told_before_what_follows_from_it() -> None:
    broken = failure("columns of the contract", "no value", table="items")
    ordered = [f["expectation"] for f in most_severe_first([*FAILURES, broken])]
    assert ordered == [
        "columns of the contract",
        "shows follow the propensities",
        "one row an event",
        "mean 1/propensity is the candidate count",
        "as many impressions as usual",
    ]


def test_the_first_line_names_the_worst_fault() -> None:
    text = summary_text(NIGHT, FAILURES, ["half of a delivery"])
    assert text.splitlines()[0] == (
        f"night {NIGHT} is stopped (3 critical, 1 warning): impressions: logged as if uniform: "
        "item m7 shown 431 times"
    )
    assert "  owner     ranking" in text
    assert text.endswith("What these checks would have found:\n  half of a delivery\n")
    page = summary_page(NIGHT, FAILURES, ["half of a delivery"], [])
    assert text.splitlines()[0] in Elements(page).text
    assert first_line(NIGHT, []) == f"night {NIGHT} passed: nothing looks wrong"
    assert first_line(NIGHT, FAILURES[:1]) == (
        f"night {NIGHT} passed (1 warning): impressions: as many impressions as usual: saw 0.2, "
        "expected at most 0.25"
    )
    assert "one row an event: saw 2 of 10 rows" in first_line(NIGHT, FAILURES[2:3])


def page(texts: tuple[str, ...]) -> str:
    failures = [
        failure(t, t, expected=t, why=t, owner=t, rows=[{t: t}], severity=s)
        for t in texts
        for s in ("critical", "warning")
    ]
    shares = {t: 1 / len(texts) for t in texts}
    return summary_page(NIGHT, failures, texts, [(texts[0], drift_plot(shares, [shares] * 4))])


def test_a_page_of_hostile_texts_has_the_elements_of_a_harmless_one() -> None:
    texts = (*HOSTILE, "x<b>" * (LONG // 4))
    ours, theirs = page(texts), page(tuple(f"word{n}" for n in range(len(texts))))
    assert Elements(ours).tags == Elements(theirs).tags
    assert Elements(ours).runs == Elements(theirs).runs
    for hidden in "\x1b\x07\u202e\u2066\u2028":
        assert hidden not in ours
        assert hidden not in summary_text(NIGHT, [failure(t, t, owner=t) for t in texts], [])
    assert len(ours) < 1_000_000


def test_a_plot_is_the_same_each_time() -> None:
    tonight, trailing = {"a": 0.2, "b": 0.8}, [{"a": 0.5, "b": 0.5}] * 3
    assert drift_plot(tonight, trailing) == drift_plot(tonight, trailing)
    assert drift_plot(tonight, trailing) != drift_plot(trailing[0], trailing)


def test_what_was_seen_is_told_in_the_language_of_the_page() -> None:
    seen = Message("{rows} of {total} rows", rows=3, total=9)
    failure = {"expectation": "declared event", "observed": seen, "expected": "click"}
    assert (
        translated(plain_words(failure), "zh") == "declared event：所见 9 行中的 3 行，预期 click"
    )
