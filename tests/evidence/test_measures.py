from __future__ import annotations

from dataclasses import replace

import pytest

from mrlm.bandit_log.objectives import Objective
from mrlm.evidence.measures import measures, one_measure

CLICK = Objective("click", "feedback", event="click", transform="any", missing=0.0)


@pytest.mark.parametrize(
    "changed",
    [
        replace(CLICK, discount=0.5),
        replace(CLICK, event="tap"),
        replace(CLICK, missing=0.5),
        replace(CLICK, window_nights=2),
    ],
)
def test_what_changes_its_values_is_another_measure(changed: Objective) -> None:
    assert not one_measure(measures([CLICK]), changed)


@pytest.mark.parametrize(
    "same", [CLICK, replace(CLICK, role="guardrail", margin=0.1), replace(CLICK, unit="share")]
)
def test_what_is_made_of_its_values_is_none(same: Objective) -> None:
    assert one_measure(measures([CLICK]), same)


def test_a_night_of_before_says_nothing() -> None:
    assert one_measure({}, CLICK)
