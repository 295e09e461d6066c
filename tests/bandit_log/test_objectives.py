from __future__ import annotations

from typing import Any

import pytest

from mrlm.bandit_log import Objective
from mrlm.bandit_log.objectives import north_star


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"name": "Bad name", "source": "list"}, "lower case"),
        ({"name": "a", "source": "feedback"}, "needs an event"),
        ({"name": "a", "source": "item"}, "needs attribute"),
        (
            {"name": "a", "source": "item", "attribute": "x", "low": 1.0, "high": 1.0},
            "low and high",
        ),
        ({"name": "a", "source": "list", "role": "north_star"}, "north star must come"),
        ({"name": "a", "source": "list", "margin": -1.0}, "0 or more"),
        (
            {"name": "a", "source": "list", "attribute": "year"},
            "attribute of a list is 'embedding'",
        ),
        ({"name": "a", "source": "list", "discount": 0.5}, "only source feedback"),
        ({"name": "a", "source": "list", "discount": 1.0}, r"in \[0, 1\)"),
        ({"name": "a", "source": "feedback", "event": "e", "discount": 0.5}, "needs missing"),
        (
            {
                "name": "a",
                "source": "feedback",
                "event": "e",
                "transform": "none",
                "missing": 0.0,
            },
            "transform none needs missing = 1.0",
        ),
    ],
)
def test_fields_that_do_not_fit_are_refused(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Objective(**fields)


def test_an_objective_without_a_discount_is_written_as_before_there_were_any() -> None:
    plain = Objective(name="s", source="feedback", event="e", missing=0.0)
    assert "discount" not in plain.to_json()
    assert Objective(**plain.to_json()) == plain
    follows = Objective(name="s", source="feedback", event="e", missing=0.0, discount=0.9)
    assert Objective(**follows.to_json()) == follows


def test_there_is_one_north_star() -> None:
    star = Objective(name="s", source="feedback", event="e", role="north_star")
    other = Objective(name="d", source="list")
    assert north_star((other, star)) is star
    for wrong in ((other,), (star, star)):
        with pytest.raises(ValueError, match="exactly one"):
            north_star(wrong)
