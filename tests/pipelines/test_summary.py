"""The table of nights at a terminal."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

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
