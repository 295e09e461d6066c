"""Groups in words and in a picture, and the change in numbers that people count in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mrlm.evidence.groups import GroupDifference
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.report.facts import NightFacts
from mrlm.report.for_whom import group_rows, who_is_worse_off
from mrlm.report.memo import decision_memo
from mrlm.report.plain_numbers import change_in_numbers
from mrlm.report.review_page import render_review_page
from tests.report.test_review_page import BARE, FULL


def between(lower: float, upper: float) -> PolicyEstimate:
    middle = (lower + upper) / 2
    return PolicyEstimate(middle, 0.01, 200.0, lower, upper, level=0.99, certified=True)


GROUPS = (
    GroupDifference("scene", "home", 500, 90, {"delight": between(0.05, 0.15)}),
    GroupDifference(
        "scene", "<b>", 400, 80, {"delight": between(-0.05, 0.1), "like": between(-0.2, -0.1)}
    ),
    GroupDifference("history", "0 items", 90, 30, {"delight": between(-0.1, -0.02)}),
    GroupDifference("history", "10 items or more", 9, 3, {"delight": PolicyEstimate(0.4)}),
)
SHOWN = {
    "figures": {
        "moved": 0.4,
        "challenger": {"gini": 0.5, "coverage": 0.3, "category_entropy": 1.0},
        "champion": {"gini": 0.4, "coverage": 0.5, "category_entropy": 1.1},
    },
    "items": [{"name": "i1", "title": "Alien <script>", "champion": 2.0, "challenger": 5.0}],
    "sampled": [
        {
            "which": "typical",
            "scene": "home",
            "position": 1,
            "moved": 0.3,
            "candidates": [
                {"item_id": "i1", "title": "", "champion": 0.25, "challenger": 0.5},
            ],
        }
    ],
}
JUDGED = replace(FULL, groups=GROUPS, exposure=SHOWN)


def test_groups_are_placed_on_one_scale() -> None:
    rows = group_rows(JUDGED, "delight")
    assert [r.verdict for r in rows] == ["better", "not known", "worse"]
    assert [r.label for r in rows] == ["scene home", "scene <b>", "users with 0 items before"]
    assert min(r.low for r in rows) == 0
    assert max(r.high for r in rows) == 100
    assert rows[0].zero == pytest.approx(100 * 0.1 / 0.25)
    assert all(r.low < r.middle < r.high for r in rows)


def test_who_is_worse_off_is_named_in_page_and_memo() -> None:
    assert who_is_worse_off(JUDGED) == ["delight of users with 0 items before", "like of scene <b>"]
    page, memo = render_review_page(JUDGED), decision_memo(JUDGED)
    assert "Shown to be worse off: delight of users with 0 items before" in page
    assert "delight of users with 0 items before" in memo
    better = replace(JUDGED, groups=GROUPS[:1])
    assert "No group is shown to be worse off" in render_review_page(better)
    assert "Of one more group the log does not tell enough yet" in page
    assert "does not tell enough" not in render_review_page(better)
    assert "worse off" not in decision_memo(better)


def test_the_page_shows_what_users_would_see_and_every_text_as_text() -> None:
    page = render_review_page(JUDGED)
    assert "40 of 100 shown items would be others" in page
    assert "expected at least once among these decisions, now 50 %" in page
    assert "<script" not in page
    assert "Alien &lt;script&gt;" in page
    # An item without a title goes by its id.
    assert "<td>i1</td>" in page
    assert "<svg" not in render_review_page(FULL)
    render_review_page(BARE)


@pytest.mark.parametrize(
    ("found", "yes_or_no", "told"),
    [
        (
            between(0.08, 0.12),
            ["delight"],
            "delight of 100 shown items: 40.0 with the challenger, 30.0 with the champion, "
            "which is 10.0 more (between 8.0 and 12.0).",
        ),
        (between(-0.12, -0.08), ["delight"], "10.0 fewer (between 8.0 and 12.0)"),
        (between(-0.12, -0.08), [], "0.1 less (between 0.08 and 0.12)"),
        (between(-0.02, 0.04), ["delight"], "between -2.0 and +4.0: no proven change"),
        (PolicyEstimate(0.1), ["delight"], "cannot be told from this log yet"),
    ],
)
def test_the_change_in_plain_numbers(
    found: PolicyEstimate, yes_or_no: list[str], told: str
) -> None:
    evidence = replace(FULL, differences={"dr": {"delight": found}})
    sentence = change_in_numbers(evidence, "dr", yes_or_no, "EUR")
    assert told in sentence
    assert ("EUR" in sentence) == (found.certified and not yes_or_no)
    page = render_review_page(evidence, facts=NightFacts(yes_or_no=yes_or_no))
    assert told.split(" (")[0].split(": ")[-1] in page


def test_without_a_comparison_nothing_is_said() -> None:
    assert change_in_numbers(BARE, "dr", []) == ""
