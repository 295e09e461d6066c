from __future__ import annotations

import pytest

from mrlm.behaviour.fitting.cost import LogSize, advised, fit_cost
from mrlm.behaviour.settings import BehaviourSettings

SETTINGS = BehaviourSettings()
SIZE = LogSize(rows=60_000, entries=200, items=9_000)
PLENTY = {"gib": 64.0, "seconds": 1e6}


def cost_of(model: str, size: LogSize = SIZE) -> tuple[float, float]:
    found = fit_cost(SETTINGS.model_copy(update={"model": model}), size)
    return found.seconds, found.gib


def test_more_is_read_at_more_cost_and_rows_count_alike() -> None:
    names = ("pair", "history", "sequence", "language")
    pair, history, sequence, language = (cost_of(m) for m in names)
    assert pair < history < sequence
    assert pair[1] <= history[1]
    assert language == history, "its tunings come on top"
    twice = LogSize(2 * SIZE.rows, SIZE.entries, SIZE.items)
    assert cost_of("history", twice) == pytest.approx([2 * x for x in history])
    assert cost_of("pair", LogSize(SIZE.rows, 10)) < pair
    few = SETTINGS.model_copy(update={"model": "pair", "epochs": 3})
    assert fit_cost(few, SIZE).seconds < pair[0]


def test_a_student_costs_what_its_teacher_does_and_more() -> None:
    taught = fit_cost(SETTINGS.model_copy(update={"distil": 0.5}), SIZE)
    assert taught.seconds > cost_of("history")[0] + cost_of("pair")[0]
    assert taught.gib == cost_of("history")[1], "one after the other"
    pair = SETTINGS.model_copy(update={"model": "pair", "distil": 0.5})
    assert fit_cost(pair, SIZE).seconds == cost_of("pair")[0]


def test_the_best_model_that_fits_is_advised() -> None:
    assert advised(SETTINGS, SIZE, **PLENTY).model == "history"
    between = (cost_of("pair")[0] + cost_of("history")[0]) / 2
    assert advised(SETTINGS, SIZE, gib=64.0, seconds=between).model == "pair"
    assert advised(SETTINGS, SIZE, gib=64.0, seconds=0.5 * cost_of("pair")[0]).model is None
    assert advised(SETTINGS, SIZE, gib=0.5 * cost_of("pair")[1], seconds=1e6).model is None


def test_items_without_rewards_have_no_factors_to_learn() -> None:
    found = advised(SETTINGS, LogSize(60_000, 200, 200_000), **PLENTY)
    assert found.model == "pair"
    assert "no reward" in found.reason
    assert found.cost == fit_cost(SETTINGS.model_copy(update={"model": "pair"}), SIZE)


def test_all_decisions_of_a_longer_log_cost_time_alone_and_feed_items() -> None:
    longer = LogSize(SIZE.rows, SIZE.entries, 200_000, 1_000_000)
    for model in ("pair", "history"):
        (seconds, gib), (more, same) = cost_of(model), cost_of(model, longer)
        assert more > seconds
        assert same == gib
    # A log that is read whole has no more than its rows.
    assert cost_of("history", LogSize(SIZE.rows, SIZE.entries, 9_000, SIZE.rows)) == cost_of(
        "history"
    )
    assert advised(SETTINGS, longer, **PLENTY).model == "history"
