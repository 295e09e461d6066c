from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from mrlm.promotion.moves.accept import accept_night
from mrlm.promotion.record.ledger import Entry, Ledger
from pipelines.commands import care
from pipelines.contract.context import NightContext
from pipelines.failures.errors import DataError
from pipelines.nights.deliveries import (
    accepted_nights,
    delivered,
    deliveries,
    doubtful_events,
    doubts,
    found_fingerprint,
    sent_events,
)
from pipelines.stages import stage_named
from pipelines.stages.ingest import Ingest
from tests.evidence.arrays import OBJECTIVES
from tests.pipelines.nights.workspaces import Made, entry

NIGHTS = [f"2026-11-{day}" for day in range(10, 18)]
WINDOW = 1


def at(made: Made, night: str) -> NightContext:
    """A night under a north star whose events may arrive one night later."""
    objectives = [asdict(o) for o in OBJECTIVES]
    objectives[0]["window_nights"] = WINDOW
    return made.context(night, objectives=objectives)


def delivery(state: str = "whole", lost: int = 0) -> dict[str, Any]:
    return {"delight": {"state": state, "lost": lost}}


def test_a_night_is_final_once_its_window_was_read_and_nothing_speaks_against_it(
    made: Made,
) -> None:
    for night in NIGHTS[:4]:
        made.passed(night, deliveries=delivery())
    context = at(made, NIGHTS[3])
    found = delivered(context, NIGHTS[:4], NIGHTS[:4])["delight"]
    assert found.final == frozenset(NIGHTS[: 4 - WINDOW])
    assert found.doubtful == frozenset()
    assert set(found.lost.values()) == {0}


def test_a_doubt_makes_the_nights_doubtful_that_its_events_belong_to(made: Made) -> None:
    states = ["whole", "unknown", "whole", "whole"]
    for night, state in zip(NIGHTS[:4], states, strict=True):
        made.passed(night, deliveries=delivery(state))
    context = at(made, NIGHTS[3])
    found = delivered(context, NIGHTS[:4], NIGHTS[:4])["delight"]
    doubtful = {NIGHTS[i] for i in range(4 - WINDOW) if i <= 1 <= i + WINDOW}
    assert found.doubtful == doubtful
    assert found.final == frozenset(NIGHTS[: 4 - WINDOW]) - doubtful
    assert doubtful_events(context, NIGHTS[1]) == ["delight"]
    assert doubts(context, [NIGHTS[1]]) == {(NIGHTS[1], "delight")}
    assert doubts(context, [NIGHTS[0]]) == set()


def test_a_night_whose_feedback_did_not_pass_is_doubtful_too(made: Made) -> None:
    for night in NIGHTS[:3]:
        made.passed(night, deliveries=delivery())
    context = at(made, NIGHTS[2])
    found = delivered(context, [NIGHTS[0]], [NIGHTS[1], NIGHTS[2]])["delight"]
    assert found.doubtful == {NIGHTS[0]}


def test_lost_events_may_belong_to_every_night_of_their_window(made: Made) -> None:
    for night, lost in zip(NIGHTS[:3], (1, 10, 100), strict=True):
        made.passed(night, deliveries=delivery("bounded", lost))
    context = at(made, NIGHTS[2])
    found = delivered(context, NIGHTS[:2], NIGHTS[:3])["delight"]
    numbers = (1, 10, 100)
    assert found.lost == {NIGHTS[i]: sum(numbers[i : i + WINDOW + 1]) for i in range(2)}


def test_what_a_person_accepted_is_taken_as_whole(made: Made) -> None:
    for night in NIGHTS[:3]:
        made.passed(night, deliveries=delivery("unknown"))
    Ledger(made.workspace.registry / "ledger.jsonl").append(
        replace(entry("accepted", NIGHTS[0], None), reason="a holiday")
    )
    context = at(made, NIGHTS[2])
    assert accepted_nights(context) == {NIGHTS[0]: "a holiday"}
    assert doubts(context, [NIGHTS[0]]) == set()
    assert doubts(context, [NIGHTS[1]]) == {(NIGHTS[1], "delight")}
    found = delivered(context, [NIGHTS[0]], NIGHTS[:3])["delight"]
    # Its events may arrive on the next night too, which nobody accepted.
    assert found.doubtful == {NIGHTS[0]}
    ledger = Ledger(made.workspace.registry / "ledger.jsonl")
    ledger.append(entry("accepted", NIGHTS[1], None))
    assert delivered(context, [NIGHTS[0]], NIGHTS[:3])["delight"].final == {NIGHTS[0]}


def test_a_verdict_of_before_deliveries_were_judged_has_nothing_against_them(made: Made) -> None:
    made.passed(NIGHTS[0])
    assert deliveries(at(made, NIGHTS[0]), NIGHTS[0]) == {}
    assert deliveries(at(made, NIGHTS[0]), NIGHTS[1]) == {}


def sent(context: NightContext, path: Path) -> NightContext:
    inputs = context.settings.inputs.model_copy(update={"sent_path": str(path / "{night}.json")})
    settings = context.settings.model_copy(update={"inputs": inputs})
    return replace(context, settings=settings)


def test_counts_of_sent_events(made: Made, tmp_path: Path) -> None:
    context = at(made, NIGHTS[0])
    assert sent_events(context) is None
    counting = sent(context, tmp_path)
    with pytest.raises(DataError, match=r"are not there.*inputs\.sent_path"):
        sent_events(counting)
    path = tmp_path / f"{NIGHTS[0]}.json"
    path.write_text(json.dumps({"delight": 12}))
    assert sent_events(counting) == {"delight": 12}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "are no JSON"),
        ("[1]", "not one JSON object"),
        ('{"delight": 1.5}', "'delight' is 1.5"),
        ('{"delight": -1}', "'delight' is -1"),
        ('{"delight": true}', "'delight' is True"),
    ],
)
def test_counts_that_are_none_are_refused(made: Made, tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / f"{NIGHTS[0]}.json").write_text(text)
    with pytest.raises(DataError, match=says):
        sent_events(sent(at(made, NIGHTS[0]), tmp_path))


def test_a_night_that_is_not_over_needs_no_count_yet(made: Made, tmp_path: Path) -> None:
    context = sent(at(made, NIGHTS[0]), tmp_path)
    until = datetime.fromisoformat(f"{NIGHTS[0]}T12:00:00+00:00")
    assert Ingest(until=until).plan(context).sent is None
    with pytest.raises(DataError, match="are not there, so the delivery may not be complete"):
        Ingest().plan(context)


def test_what_was_accepted_holds_until_it_is_delivered_otherwise(made: Made) -> None:
    made.passed(NIGHTS[0], deliveries=delivery("unknown", 3))
    context = at(made, NIGHTS[0])
    ledger = Ledger(made.workspace.registry / "ledger.jsonl")
    place: Any = SimpleNamespace(ledger=ledger, locked=lambda actor, seconds: nullcontext())

    def accept(reason: str) -> Entry:
        found = found_fingerprint(context, NIGHTS[0])
        return accept_night(place, NIGHTS[0], found, actor="ann", at="2026-11-20", reason=reason)

    first = accept("a holiday")
    assert accept("again") == first
    assert accepted_nights(context) == {NIGHTS[0]: "a holiday"}
    made.passed(NIGHTS[0], deliveries=delivery("unknown", 30))
    assert doubts(context, [NIGHTS[0]]) == {(NIGHTS[0], "delight")}
    assert accept("seen") != first
    assert accepted_nights(context) == {NIGHTS[0]: "seen"}


def test_deliveries_of_a_stopped_table_are_not_accepted(made: Made) -> None:
    made.passed(NIGHTS[0])
    tables = {"impressions": "passed", "feedback": "stopped", "items": "passed"}
    counts = {"tables": tables, "deliveries": delivery("unknown")}
    folder = made.workspace.lake_stage(NIGHTS[0], "validate")
    made.complete(folder, "validate", NIGHTS[0], counts=counts)
    settings = at(made, NIGHTS[0]).settings.model_copy(update={"workspace": made.root})
    told = {"actor": "ann", "reason": "a holiday"}
    with (
        patch.object(care, "load_settings", lambda _: settings),
        pytest.raises(DataError, match=r"stopped its feedback.*unattributed_share.*then accept"),
    ):
        care.accept(NIGHTS[0], **told)


def test_what_ingestion_counted_is_validated_again(made: Made) -> None:
    stage, context = stage_named("validate"), at(made, NIGHTS[0])
    folder = made.workspace.lake_stage(NIGHTS[0], "ingest")
    found = []
    for counted in (None, "60 clean", "60 clean, 60 torn"):
        counts = {"reopened": []} if counted is None else {"reopened": [], "counted": counted}
        made.complete(folder, "ingest", NIGHTS[0], counts=counts)
        found.append(stage.inputs(context, stage.plan(context)))
    # Nights of before it was kept stay as they are.
    assert "counts" not in found[0]
    assert found[1]["counts"] != found[2]["counts"]
