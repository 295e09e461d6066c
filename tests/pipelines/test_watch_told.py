"""What a night tells of the watch: the first alarm, the rollback, and one that cannot be made."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from mrlm.promotion.moves.promote import MoveOutcome
from mrlm.promotion.settings import GateSettings
from pipelines.running import night
from pipelines.stages import promote

LEAVE = "mrlm.promotion.moves.leave_shortfall.leave_shortfall"


def context(**counts: dict[str, str]) -> Any:
    def run(stage: str) -> Any:
        manifest = SimpleNamespace(counts=counts[stage]) if stage in counts else None
        return SimpleNamespace(manifest=lambda: manifest)

    settings = SimpleNamespace(gate=GateSettings(watch="enforce"), notify="hooks")
    return SimpleNamespace(
        night="2026-11-20",
        run_key="2026-11-20-abc",
        registry=None,
        settings=settings,
        run=run,
        log=logging.getLogger,
    )


def test_the_champion_after_the_watch_is_the_one_that_it_went_back_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(LEAVE, lambda *_, **__: MoveOutcome("rolled_back", 3, "it fell short"))
    champion, told = promote._after_watch(context(), 4)
    assert champion == 3
    assert "it fell short" in told["rolled_back"]
    monkeypatch.setattr(LEAVE, lambda *_, **__: None)
    assert promote._after_watch(context(), 4) == (4, {})


def test_a_version_that_cannot_come_back_costs_no_night(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(*_: Any, **__: Any) -> MoveOutcome:
        raise ValueError("version 3 is damaged")

    monkeypatch.setattr(LEAVE, damaged)
    champion, told = promote._after_watch(context(), 4)
    assert champion == 4
    assert "could not roll back: version 3 is damaged" in told["fell_short"]


def test_alarm_and_rollback_are_sent_where_the_night_has_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(night, "notify", lambda event, hooks: sent.append((event, hooks)))
    night._tell_of_watch(context(gate={"fell_short": ""}, promote={}))
    night._tell_of_watch(context())
    assert sent == []
    night._tell_of_watch(
        context(gate={"fell_short": "version 4"}, promote={"rolled_back": "version 3 again"})
    )
    assert [(e.kind, e.reason, hooks) for e, hooks in sent] == [
        ("fell_short", "version 4", "hooks"),
        ("rolled_back", "version 3 again", "hooks"),
    ]
