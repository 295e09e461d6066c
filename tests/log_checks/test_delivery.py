"""What a delivery is worth follows from what is known to be lost of it."""

from __future__ import annotations

from typing import Any

import pytest

from mrlm.log_checks.delivery import Delivery, EventRows, judge_delivery


def judged(
    arrived: EventRows, unnamed: EventRows | None = None, sent: int | None = None, **changes: Any
) -> Delivery:
    options: dict[str, Any] = {
        "missing": (),
        "doubtful_share": 0.1,
        "unattributed_are_lost": True,
        **changes,
    }
    return judge_delivery("click", arrived, unnamed or EventRows(), sent, **options)


def test_a_delivery_with_nothing_against_it_is_whole() -> None:
    found = judged(EventRows(clean=100, attributed=98, left_out=2, duplicate=3, late=1))
    assert (found.state, found.lost, found.unread) == ("whole", 0, 0)


@pytest.mark.parametrize(
    ("arrived", "lost", "unread"),
    [
        (EventRows(clean=100, attributed=95, unattributed=5), 5, 0),
        (EventRows(clean=100, attributed=100, placed=4), 0, 4),
        (EventRows(clean=100, attributed=100, unplaced=4), 4, 0),
    ],
)
def test_a_little_that_is_lost_is_bounded(arrived: EventRows, lost: int, unread: int) -> None:
    found = judged(arrived)
    assert (found.state, found.lost, found.unread) == ("bounded", lost, unread)


@pytest.mark.parametrize(
    "arrived",
    [
        EventRows(clean=100, attributed=80, unattributed=20),
        EventRows(clean=70, attributed=70, placed=30),
        EventRows(clean=70, attributed=70, unplaced=30),
        EventRows(clean=50, unattributed=50),
    ],
)
def test_beyond_the_share_it_is_unknown(arrived: EventRows) -> None:
    assert judged(arrived).state == "unknown"
    assert judged(arrived, doubtful_share=0.99).state in ("bounded", "unknown")


def test_events_of_other_pages_are_not_lost_where_the_settings_say_so() -> None:
    arrived = EventRows(clean=100, attributed=40, unattributed=60)
    assert judged(arrived, unattributed_are_lost=False).state == "whole"


def test_rows_whose_event_cannot_be_read_may_be_of_any() -> None:
    found = judged(EventRows(clean=100, attributed=100), EventRows(placed=3, unplaced=7))
    assert (found.state, found.lost, found.unread) == ("bounded", 7, 3)
    # They are no reason to distrust a rare event that they would outnumber.
    rare = judged(EventRows(clean=2, attributed=2), EventRows(unplaced=7))
    assert (rare.state, rare.lost) == ("bounded", 7)


def test_the_loggers_own_count_settles_it() -> None:
    arrived = EventRows(clean=95, attributed=95, duplicate=5)
    assert judged(arrived, sent=95).state == "whole"
    assert judged(arrived, sent=95, missing=("rate",)).state == "whole"
    assert judged(arrived, missing=("rate",)).state == "unknown"
    few = judged(arrived, sent=100)
    assert (few.state, few.undelivered, few.lost) == ("bounded", 5, 5)
    assert judged(arrived, sent=200).state == "unknown"
    # Repeats of some events are not the others.
    half = EventRows(clean=50, attributed=50, duplicate=50)
    assert (judged(half, sent=100).state, judged(half, sent=100).undelivered) == ("unknown", 50)
    # A row that cannot be read is one of those that the count misses, not one more.
    torn = judged(arrived, EventRows(unplaced=5), sent=100)
    assert torn.lost == 5


def test_a_count_that_is_exceeded_settles_nothing() -> None:
    arrived = EventRows(clean=95, attributed=95)
    assert judged(arrived, sent=90).surplus == 5
    assert judged(arrived, sent=90).state == "whole"
    assert judged(arrived, sent=90, missing=("rate",)).state == "unknown"
    assert judged(arrived, sent=0, missing=("rate",)).state == "unknown"


def test_it_is_plain_data_for_the_verdict() -> None:
    found = judged(EventRows(clean=100, attributed=95, unattributed=5)).to_json()
    assert found["lost"] == 5
    assert found["missing"] == []
    assert Delivery(**{k: v for k, v in found.items() if k != "lost"}).state == "bounded"
