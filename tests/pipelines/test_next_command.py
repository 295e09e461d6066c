"""What 'mrlm status' says is to be done before the first night that can be judged."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mrlm.promotion.record.ledger import Entry
from pipelines.commands import care

FIRST = Entry("initial", "run1", 1, "ada", "t0", "the logger")


@pytest.mark.parametrize(
    ("nights", "entries", "told"),
    [
        (["2026-11-01"], (), "1 of the 2 nights"),
        (["2026-11-01", "2026-11-02"], (), "'mrlm bootstrap --night 2026-11-02'"),
        (["2026-11-01", "2026-11-02"], (FIRST,), ""),
    ],
)
def test_more_nights_then_a_champion_then_nothing(
    nights: list[str],
    entries: tuple[Entry, ...],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = SimpleNamespace(ledger=SimpleNamespace(entries=lambda: entries))
    monkeypatch.setattr(care, "Workspace", lambda _: SimpleNamespace(nights=lambda: nights))
    monkeypatch.setattr(care, "place_of", lambda _settings, _workspace: place)
    settings = SimpleNamespace(workspace="w", history_nights=2)
    care._tell_history(settings)  # type: ignore[arg-type]
    said = capsys.readouterr().out
    assert told in said
    assert bool(said) == bool(told)
