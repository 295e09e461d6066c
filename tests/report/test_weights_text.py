from __future__ import annotations

from dataclasses import replace

from mrlm.meta.explain.contributions import Contribution, ExplainedLift
from mrlm.meta.explain.pareto import ParetoPoint
from mrlm.meta.explain.what_if import TypedLift, WhatIf
from mrlm.meta.problem.contract import BoundedLift
from mrlm.meta.search.tuning_result import Guardrail
from mrlm.report.canvas import to_png, to_svg
from mrlm.report.front_csv import front_as_csv
from mrlm.report.weights_plots import front_plot, weights_over_nights
from mrlm.report.weights_text import (
    ChosenWeights,
    shown_explanation,
    shown_lifts,
    shown_weights,
    shown_what_if,
)

BEFORE = ChosenWeights(
    "2026-11-19", "2026-11-19-a", {"click": 0.25, "dwell": 0.75}, 0.5, 4.0, True, "because", ()
)
TONIGHT = replace(
    BEFORE,
    night="2026-11-20",
    run_key="2026-11-20-a",
    weights={"click": 0.4, "dwell": 0.6},
    limited_by=("the guardrail dwell",),
)
UP = TypedLift(0.02, 0.005, 0.0102, 0.0298, 0.001)
DOWN = TypedLift(-0.03, 0.005, -0.0398, -0.0202, -0.049)
FLAT = TypedLift(0.001, 0.005, -0.0088, 0.0108, -0.02)
POINT = ParetoPoint(
    "dwell",
    0.5,
    {"click": BoundedLift(0.1, 0.01, 0.05), "dwell": BoundedLift(0.2, 0.02, 0.1)},
    0.3,
    False,
)


def test_weights_say_how_they_moved_and_why() -> None:
    said = shown_weights(TONIGHT, BEFORE)
    assert said[0] == "run 2026-11-20-a; before: run 2026-11-19-a"
    assert said[2].split() == ["dwell", "0.600", "0.750", "-0.150"]
    assert said[3].split() == ["click", "0.400", "0.250", "+0.150"]
    assert "because" in said
    assert said[-1] == "The step was limited by the guardrail dwell."
    dust = replace(TONIGHT, weights={"click": 0.25 - 5e-16, "dwell": 0.75})
    assert shown_weights(dust, BEFORE)[3].split() == ["click", "0.250", "0.250", "+0.000"]
    first = shown_weights(replace(TONIGHT, moved=False, limited_by=None), None)
    assert "no night before" in first[0]
    assert first[2].split() == ["dwell", "0.600", "–", "–"]
    assert first[-1] == "the champion stays: because"
    apart = shown_weights(replace(TONIGHT, scenes=("home", "page")), BEFORE)
    assert apart[:-1] == said
    floors = {"effective providers": {"least": 12.0, "champion": 8.25, "chosen": 12.5}}
    assert shown_weights(replace(TONIGHT, floors=floors), BEFORE)[-1] == (
        "Who is shown, on the tune nights: effective providers 12.5 of 12 asked for, the champion "
        "8.25."
    )
    assert apart[-1].startswith("with weights of their own: home, page")


def test_an_explanation_leads_with_what_adds_most() -> None:
    parts = (
        Contribution("click", 0.01, 0.002),
        Contribution("dwell", -0.03, 0.004),
        Contribution("year", 0.0, 0.0),
        Contribution("solver", -2e-18, 5e-18),
    )
    found = ExplainedLift("home", 120, BoundedLift(-0.02, 0.005, -0.03), parts, 0.0)
    said = shown_explanation([found], "click")
    assert said[0].startswith("home: click -0.02 (standard error 0.005)")
    assert [line.split()[0] for line in said[2:4]] == ["dwell", "click"]
    assert said[-1] == "  add nothing: year, solver"


def test_lifts_say_whether_they_rise_or_fall() -> None:
    said = shown_lifts({"a": UP, "b": DOWN, "c": FLAT})
    assert [line.split("]")[1].strip() for line in said[1:]] == ["rises", "falls", "not clear"]


def test_what_if_tells_guardrails_and_whether_the_champion_stays() -> None:
    guard = Guardrail(BoundedLift(-0.03, 0.005, -0.036), 0.01, holds=False)
    found = WhatIf(
        (0.5, 2.0, 1.0), True, "because", (), {"click": UP}, {"dwell": guard}, 0.2, 800.0
    )
    said = "\n".join(shown_what_if(found, replace(found, kl=0.1), 1000))
    assert "kappa 0.5, scale 3" in said
    assert "guardrail dwell DOES NOT HOLD: at least -0.036, may fall by 0.01" in said
    assert "effective of 1000 decisions" in said
    stays = shown_what_if(replace(found, moved=False, limited_by=None), found, 1000)
    assert stays[1] == "the champion would stay: because"


def test_the_front_is_a_line_a_point() -> None:
    header, row, end = front_as_csv([POINT]).split("\n")
    assert header.split(",")[2:5] == ["lift_click", "error_click", "certified_click"]
    assert row == "dwell,0.5,0.1,0.01,0.05,0.2,0.02,0.1,0.3,False"
    assert end == ""


def test_plots_are_the_same_bytes_each_time() -> None:
    nights = [BEFORE, replace(TONIGHT, moved=False)]
    for draw in (lambda: weights_over_nights(nights), lambda: front_plot([POINT], "click")):
        assert to_svg(draw()) == to_svg(draw())
        assert b">dwell<" in to_svg(draw()) or b"lift in dwell" in to_svg(draw())
        assert to_png(draw()).startswith(b"\x89PNG")
