"""The summary of a night's data in Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from mrlm.messages.message import Message
from mrlm.report.drift_plot import drift_plot
from mrlm.report.night_page import first_line, summary_page, summary_text
from pipelines.expectations import feedback, impressions, items, told_events
from pipelines.expectations.run import OWNERS
from pipelines.expectations.words import describe
from pipelines.settings.validation import Validation
from tests.report.test_accessible_pages import Faults
from tests.report.test_chinese_pages import Words, english

NIGHT = "2026-11-20"
RULES = {
    "impressions": impressions.row_rules(Validation(), 2),
    "feedback": feedback.row_rules(["click"]),
    "items": items.row_rules(Validation()),
    "history": told_events.row_rules(Validation()),
}


def failures() -> list[dict[str, Any]]:
    """Every rule of a row, broken."""
    return [
        {
            "table": table,
            "expectation": rule.name,
            "severity": rule.severity,
            "observed": Message("{rows} of {total} rows", rows=2, total=10),
            "expected": rule.expected,
            "why": rule.why,
            "rows": [{"item_id": "m7"}],
            "owner": OWNERS[table],
        }
        for table, rules in RULES.items()
        for rule in rules
    ]


def test_a_chinese_summary_holds_no_english_sentence() -> None:
    limits = [Message("propensities: nothing, no slot logs those of all its candidates")]
    shares = {Message("above {low:g}", low=3): 1.0}
    caption = Message("{feature}, by share of the slots", feature=Message("number of candidates"))
    plots = [(caption, drift_plot(shares, [shares], "zh"))]
    page = summary_page(NIGHT, failures(), limits, plots, "zh")
    words = Words(page)
    assert words.language == "zh"
    assert english(words.found) == []
    assert "2026-11-20 夜被停止（" in page
    assert "10 行中的 2 行" in page
    assert Faults(page).found == []


@pytest.mark.parametrize("most", [0, 1])
def test_the_text_of_a_summary_is_a_record_in_english(most: int) -> None:
    some = failures()[:most]
    assert summary_text(NIGHT, some, []).splitlines()[0] == first_line(NIGHT, some)
    assert summary_text(NIGHT, some, []).isascii()


def test_what_failed_is_described_in_both_languages() -> None:
    broken: Mapping[str, Any] = {
        **failures()[0],
        "observed": Message("nothing to compare with yet"),
    }
    told = describe(dict(broken))
    assert told == "nothing to compare with yet (one row a shown slot)"
    assert english([told])
    assert isinstance(told, Message)
