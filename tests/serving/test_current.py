"""Which version serves: the newest that can be loaded, and never none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from pipelines.contract.context import NightContext
from pipelines.failures.errors import MissingInputError
from pipelines.serving import current as module
from pipelines.serving.current import Current, LiveSources, sources
from tests.evidence.arrays import make_log
from tests.pipelines.nights.workspaces import Made, entry


@dataclass
class Version:
    policy_id: str


def test_the_newest_version_takes_over_and_a_broken_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = Made(tmp_path).context("2026-11-20")
    newest = LiveSources(1, "2026-11-19", ())
    broken: set[int] = set()
    loaded: list[LiveSources] = []

    def load(of: NightContext, found: LiveSources) -> Version:
        if found.version in broken:
            raise OSError(f"version {found.version} is damaged")
        loaded.append(found)
        return Version(f"r@{found.version}")

    monkeypatch.setattr(module, "sources", lambda of: newest)
    monkeypatch.setattr(module, "load", load)

    def at(moment: datetime) -> NightContext:
        assert moment.tzinfo is not None
        return context

    current = Current(at, 0.01)
    current.look()
    assert (current.live.policy_id, current.reloads, len(loaded)) == ("r@1", 0, 1)
    newest, broken = LiveSources(2, "2026-11-20", ()), {2}
    current.look()
    assert (current.live.policy_id, current.found.version) == ("r@1", 1)
    assert current.trouble == "version 2 is damaged"
    broken.clear()
    current.look()
    assert (current.live.policy_id, current.reloads, current.trouble) == ("r@2", 1, "")
    newest = LiveSources(2, "2026-11-21", ())
    current.look()
    assert (current.reloads, loaded[-1].catalog_night) == (2, "2026-11-21")
    newest = LiveSources(1, "2026-11-21", ())
    current.start()
    for _ in range(500):
        if current.live.policy_id == "r@1":
            break
        current._ended.wait(0.01)
    current.stop()
    assert current.live.policy_id == "r@1", "a rollback is taken like a promotion"


def test_what_is_served_follows_ledger_catalogue_and_logs(tmp_path: Path) -> None:
    made = Made(tmp_path)
    context = made.context("2026-11-20", serving={"state_nights": 2})
    with pytest.raises(MissingInputError, match="mrlm bootstrap"):
        sources(context)
    made.record(entry("initial", "k", 1))
    assert sources(context) == LiveSources(1, None, ())
    nights = ("2026-11-17", "2026-11-18", "2026-11-19")
    for night in nights:
        made.passed(night)
        made.built(night, {night: make_log()})
    made.embedded("2026-11-19")
    assert sources(context) == LiveSources(1, "2026-11-19", tuple((n, n) for n in nights[1:]))
