"""Settings that nothing would read are refused, with the name that was meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.pipelines.nights.workspaces import Made

TABLES = {t: {"path": "x"} for t in ("impressions", "feedback", "items")}
SCREENED = {"screening": {"value_limits": {"delihgt": (1.0, 5.0)}}}


def settle(folder: Path, **sections: Any) -> None:
    Made(folder).context("2026-11-10", **sections)


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        ({"inputs": {**TABLES, "sent_path": "raw/{nigt}.json"}}, "did you mean night"),
        ({"inputs": {**TABLES, "sent_path": "raw/sent.json"}}, "one count for all nights"),
        ({"inputs": {**TABLES, "candidate_set_path": "raw/{nigt}"}}, "did you mean night"),
        ({"inputs": {**TABLES, "items": {"path": "{nights}/i"}}}, "did you mean night"),
        ({"validation": {"shifted_share": (0.5, 0.1)}}, "0.5 > 0.1"),
        ({"validation": {"row_count_ratio": (2, 0.5)}}, "2.0 > 0.5"),
        ({"validation": {"feedback_rate_ratio": (2, 0.5)}}, "2.0 > 0.5"),
        ({"validation": {"least_events": {"delihgt": 10}}}, "did you mean delight"),
        ({"validation": {"least_events": {"delight": -10}}}, "at least 0, and is -10"),
        ({"ingestion": SCREENED}, "did you mean delight"),
    ],
)
def test_what_reaches_nobody_is_refused(
    tmp_path: Path, sections: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValidationError, match=says):
        settle(tmp_path, **sections)


def test_what_is_read_is_taken(tmp_path: Path) -> None:
    paths = {"sent_path": "{night:%Y%m%d}.json", "candidate_set_path": "sets/*.jsonl"}
    least = {"least_events": {"delight": 0}, "shifted_share": (0.1, 0.1)}
    settle(tmp_path, inputs={**TABLES, **paths}, validation=least)
    # A history has events of every kind.
    settle(tmp_path, inputs={**TABLES, "history": {"path": "h"}}, ingestion=SCREENED)
