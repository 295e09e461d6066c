"""The table of nights at a terminal."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from mrlm.promotion.judgement.condition import Check
from mrlm.promotion.judgement.verdict import Verdict
from mrlm.promotion.record.ledger import Entry
from pipelines.care.gate_standing import afterwards
from pipelines.care.summary_table import print_summary


def found(value: float, truth: float | None) -> dict[str, Any]:
    return {
        "value": value,
        "lower": value - 0.01,
        "upper": value + 0.01,
        "certified": True,
        "truth": truth,
    }


def a_night(**changes: Any) -> dict[str, Any]:
    rows = dict.fromkeys(("raw", "clean", "duplicate", "late", "quarantined"), 1)
    own = {"version": 3, **found(0.2644, 0.2575)}
    return {
        "night": "2026-11-19",
        "rows": rows,
        "validation": {"verdict": "passed", "failed": []},
        "items": {"encoded": 1, "reused": 2},
        "auc": {},
        "weights": {},
        "challenger": own,
        "champion": own,
        "difference": found(0.0, 0.0),
        "baselines": {
            "item_mean": {"policy": found(0.2437, 0.251), "difference": found(0.02, 0.0065)},
            "popularity": {"policy": found(0.25, None), "difference": None},
        },
        "best_baseline": "item_mean",
        "against_baselines": "not shown to beat popularity: difference +0.01 [-0.01, +0.03]",
        "verdict": "refused",
        "reason": "no better than the champion",
        "seconds": 1.0,
        "report": "report/index.html",
        "broken": [],
        "objections": [],
        "afterwards": [],
        **changes,
    }


def printed(*nights: dict[str, Any]) -> str:
    out = io.StringIO()
    print_summary({"nights": list(nights)}, Console(file=out, width=400))
    return out.getvalue()


def test_a_night_shows_its_best_baseline_and_what_the_challenger_does_not_beat() -> None:
    text = printed(a_night())
    assert "best baseline (truth)" in text
    assert "item mean 0.2437 (0.2510)" in text
    lines = text.splitlines()
    place = lines.index("2026-11-19 refused: no better than the champion")
    told = "baselines: not shown to beat popularity: difference +0.01 [-0.01, +0.03]"
    assert lines[place + 1].strip() == told
    assert "popularity 0.2500" in printed(a_night(best_baseline="popularity"))


def test_a_night_without_baselines_has_a_dash() -> None:
    text = printed(a_night(baselines={}, best_baseline=None, against_baselines=""))
    assert "baselines:" not in text
    assert "item mean" not in text


def test_advice_comes_first_and_the_trial_last() -> None:
    out = io.StringIO()
    told = {"advice": ["ADVICE: a trial"], "gate": ["on trial: version 7"], "nights": [a_night()]}
    print_summary(told, Console(file=out, width=400))
    lines = out.getvalue().splitlines()
    assert (lines[0], lines[-1]) == ("ADVICE: a trial", "on trial: version 7")


def test_a_refusal_for_several_reasons_is_a_list() -> None:
    why = ["the difference is not certified", "a guardrail falls", "the test goes on"]
    told = printed(a_night(objections=why, reason="the gate refused it: " + "; ".join(why)))
    lines = told.splitlines()
    place = lines.index("2026-11-19 refused by the gate:")
    assert lines[place + 1 : place + 4] == [f"  - {line}" for line in why]
    assert "2026-11-19 refused: no better than the champion" in printed(a_night(objections=why[:1]))


def test_a_refused_night_whose_version_a_person_promoted_says_both() -> None:
    since = ["promoted by ann at 2026-11-21T09:00:00+00:00: approved by ann: the campaign"]
    text = printed(a_night(afterwards=since))
    assert "refused; promoted by ann" in text
    lines = text.splitlines()
    place = lines.index("2026-11-19 refused: no better than the champion")
    assert lines[place + 1] == f"  afterwards: {since[0]}"


def moves(*kinds: tuple[str, int]) -> tuple[Entry, ...]:
    first = Entry("initial", "run1", 1, "ada", "t0", "the logger")
    rest = (Entry(kind, f"run{v}", v, "ann", "t1", "because") for kind, v in kinds)  # type: ignore[arg-type]
    return tuple(replace(e, sequence=i) for i, e in enumerate((first, *rest)))


@pytest.mark.parametrize(
    ("entries", "verdict", "told"),
    [
        (moves(), "refused", []),
        (moves(("refused", 2)), "refused", []),
        (moves(("promoted", 2)), "refused", ["promoted by ann"]),
        (moves(("promoted", 2)), "promoted", []),
        (moves(("promoted", 2), ("promoted", 3)), "promoted", []),
        (moves(("promoted", 2), ("rolled_back", 1)), "promoted", ["left by a rollback by ann"]),
        (
            moves(("promoted", 2), ("rolled_back", 1)),
            "refused",
            ["promoted by ann", "left by a rollback by ann"],
        ),
        (
            moves(("promoted", 2), ("rolled_back", 1), ("promoted", 2)),
            "refused",
            ["promoted by ann"],
        ),
    ],
)
def test_what_became_of_a_version_is_what_the_ledger_says(
    entries: tuple[Entry, ...], verdict: str, told: list[str]
) -> None:
    assert [line.partition(" at ")[0] for line in afterwards(entries, "run2", verdict)] == told


def test_objections_are_the_failed_checks_and_what_else_is_told() -> None:
    checks = (Check("champion", True, "there is one"), Check("north star", False, "no gain; none"))
    refused = Verdict(False, "no gain; none; the test goes on", checks)
    assert refused.objections() == ["no gain; none", "the test goes on"]
    assert Verdict(False, "no gain; none", checks).objections() == ["no gain; none"]
    assert Verdict(True, "a gain", checks[:1]).objections() == []
