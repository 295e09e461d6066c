"""Which version serves: the newest that can be loaded, and never none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from mrlm.policies.loggers.item_softmax import ItemSoftmax, Term
from mrlm.policies.mixture import Mixture
from mrlm.policies.uniform import Uniform
from mrlm.promotion.serving.bundle import PolicyBundle
from mrlm.promotion.serving.live import LiveRequest, LiveVersion
from mrlm.promotion.serving.states import STATES_SCHEMA
from pipelines.contract.context import NightContext
from pipelines.contract.manifest import Manifest
from pipelines.failures.errors import MissingInputError
from pipelines.nights.champion import TRIAL, served_as
from pipelines.serving import current as module
from pipelines.serving.current import Current, LiveSources, sources
from tests.evidence.arrays import OBJECTIVES, catalog, make_log
from tests.pipelines.nights.workspaces import Made, entry

SHARP = ItemSoftmax((Term("popularity", False, 6.0, 3.0, 2.0),), floor=0.1)


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
    assert (current.answering.live.policy_id, current.reloads, len(loaded)) == ("r@1", 0, 1)
    newest, broken = LiveSources(2, "2026-11-20", ()), {2}
    current.look()
    assert (current.answering.live.policy_id, current.answering.found.version) == ("r@1", 1)
    assert current.answering.trouble == "version 2 is damaged"
    broken.clear()
    current.look()
    assert (current.answering.live.policy_id, current.reloads, current.answering.trouble) == (
        "r@2",
        1,
        "",
    )
    newest = LiveSources(2, "2026-11-21", ())
    current.look()
    assert (current.reloads, loaded[-1].catalog_night) == (2, "2026-11-21")
    newest = LiveSources(1, "2026-11-21", ())
    current.start()
    for _ in range(500):
        if current.answering.live.policy_id == "r@1":
            break
        current._ended.wait(0.01)
    current.stop()
    assert current.answering.live.policy_id == "r@1", "a rollback is taken like a promotion"


def test_before_nothing_answers_an_earlier_champion_does_and_then_popularity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Made(tmp_path)
    for version in (1, 2, 3):
        made.record(entry("initial" if version == 1 else "promoted", f"k{version}", version))
    context = made.context("2026-11-20")
    broken = {3, 2}

    def load(of: NightContext, found: LiveSources) -> Version:
        if found.version in broken:
            raise OSError(f"version {found.version} is damaged")
        return Version(f"r@{found.version}")

    monkeypatch.setattr(module, "load", load)
    current = Current(lambda moment: context, 0.01)
    assert (current.answering.live.policy_id, current.answering.found.version) == ("r@1", 1)
    assert current.answering.trouble == "version 3 is damaged"
    broken.clear()
    current.look()
    assert (current.answering.live.policy_id, current.answering.trouble) == ("r@3", "")
    broken = {1, 2, 3}
    with pytest.raises(OSError, match="version 3 is damaged"):
        Current(lambda moment: context, 0.01)
    made.passed("2026-11-19")
    log = make_log()
    made.built("2026-11-19", {"2026-11-19": log})
    made.embedded("2026-11-19")
    current = Current(lambda moment: context, 0.01)
    live = current.answering.live
    assert (live.policy_id, current.answering.found.version) == (
        "popularity@2026-11-19",
        module.NO_VERSION,
    )
    brought = log.rewards[:, log.column(context.north_star.name)]
    shown = log.decisions.candidates.values[log.shown]
    total = np.bincount(shown, weights=brought, minlength=len(live.bundle.catalog))
    np.testing.assert_array_equal(
        live.popular, np.argsort(-total, kind="stable")[: (total > 0).sum()]
    )
    few = made.context("2026-11-20", split={"night_decisions": 100})
    known = module.known_users(few, current.answering.found, live.bundle.catalog)
    np.testing.assert_allclose(known.collected, total, atol=1e-12)
    assert known.states["user"].to_pylist() != live.states["user"].to_pylist()
    assert known.states.sort_by("user").to_pylist() == live.states.to_pylist()
    found = live.answer(LiveRequest("r", "nobody", k=1), datetime(2026, 11, 20, tzinfo=UTC))
    best, floor = found.slots[0].candidate_propensities[0], context.settings.tuning.floor
    assert best == pytest.approx(1 - floor + floor / len(live.popular))


def test_a_trial_that_cannot_be_loaded_leaves_the_champion_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = Made(tmp_path).context("2026-11-20")

    def load(of: NightContext, found: LiveSources) -> Version:
        if found.trial is not None:
            raise OSError(f"version {found.trial} is damaged")
        return Version(f"r@{found.version}")

    monkeypatch.setattr(module, "load", load)
    live, found, trouble = module.load_any(context, LiveSources(1, None, (), trial=2))
    assert (live.policy_id, found.trial, trouble) == ("r@1", None, "version 2 is damaged")


def test_who_is_on_trial_serves_where_the_settings_say_so(tmp_path: Path) -> None:
    made = Made(tmp_path)
    made.record(entry("initial", "k", 1))
    told = {"champion_version": 1, "gate_nights": ("2026-11-18",), "goes_on": True}
    made.record(entry("judged", "2026-11-19-k", 2, **told))
    assert sources(made.context("2026-11-20")).trial is None
    assert sources(made.context("2026-11-20", gate={"trial_share": 0.1})).trial == 2


def test_what_is_served_follows_ledger_catalogue_and_logs(tmp_path: Path) -> None:
    made = Made(tmp_path)
    context = made.context("2026-11-20", serving={"state_nights": 2})
    with pytest.raises(MissingInputError, match="mrlm bootstrap"):
        sources(context)
    made.record(entry("initial", "k", 1))
    nothing = sources(context)
    assert nothing == LiveSources(1, None, (), nothing.content)
    nights = ("2026-11-17", "2026-11-18", "2026-11-19")
    for night in nights:
        made.passed(night)
        made.built(night, {night: make_log()})
    made.embedded("2026-11-19")
    found = sources(context)
    own = tuple((n, n) for n in nights[1:])
    assert found == LiveSources(1, "2026-11-19", own, found.content)
    assert sources(context) == found
    seen = {found.content}
    for stage in ("embed", "build_log"):
        folder = made.workspace.lake_stage("2026-11-19", stage)
        manifest = Manifest.read(folder)
        assert manifest is not None
        name = [*manifest.outputs][-1]
        again = {**manifest.outputs, name: replace(manifest.outputs[name], fingerprint="again")}
        for changed in (
            replace(manifest, erased={name: "without somebody"}),
            replace(manifest, outputs=again),
        ):
            changed.write(folder)
            seen.add(sources(context).content)
        manifest.write(folder)
    assert len(seen) == 5
    assert sources(context) == found


def test_a_challenger_whose_trial_is_over_serves_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where what comes after it cannot be loaded, for whatever reason."""
    context = Made(tmp_path).context("2026-11-20", gate={"trial_share": 0.2})
    broken: set[int | None] = set()
    loaded: list[LiveSources] = []

    def load(of: NightContext, found: LiveSources) -> LiveVersion:
        if {found.version, found.trial} & broken:
            raise OSError("a file is damaged")
        loaded.append(found)
        alone = PolicyBundle(Uniform(), catalog(), "champion", "2026-11-19", "", "", OBJECTIVES)
        both = replace(alone, policy=Mixture((Uniform(), SHARP), (0.8, 0.2), TRIAL))
        told = served_as(of, found.version, found.trial)
        bundle = alone if found.trial is None else both
        return LiveVersion(told, bundle, STATES_SCHEMA.empty_table())

    newest = LiveSources(1, None, (), trial=2)
    monkeypatch.setattr(module, "sources", lambda of: newest)
    monkeypatch.setattr(module, "load", load)
    current = Current(lambda moment: context, 0.01)
    name = context.settings.registry.policy_id(1)

    def answers() -> tuple[str, bool]:
        live = current.answering.live
        return live.policy_id, live.bundle.policy == Uniform()

    assert answers() == (f"{name}+2", False)
    # The next one on trial is damaged: its champion serves alone, and is loaded but once.
    broken, newest = {3}, replace(newest, trial=3)
    current.look()
    current.look()
    assert (answers(), len(loaded)) == ((name, True), 2)
    assert current.answering.trouble == "a file is damaged"
    broken, newest = set(), LiveSources(1, None, (), trial=2)
    current.look()
    assert (answers(), current.answering.trouble) == ((f"{name}+2", False), "")
    # The trial ends, and not even the champion can be loaded again.
    broken, newest = {1, 4}, LiveSources(4, None, ())
    current.look()
    assert (answers(), current.answering.found) == ((name, True), LiveSources(1, None, ()))
    assert current.answering.trouble == "a file is damaged"
    # A trial that goes on is not taken away by a catalogue that cannot be loaded.
    broken, newest = set(), LiveSources(1, None, (), trial=2)
    current.look()
    broken, newest = {1}, replace(newest, content="another")
    current.look()
    assert answers() == (f"{name}+2", False)


def test_a_trial_that_nobody_looks_at_is_over(tmp_path: Path) -> None:
    """Nights that do not pass tell nothing of it."""
    made = Made(tmp_path)
    made.record(entry("initial", "k", 1))
    told = {"champion_version": 1, "gate_nights": ("2026-11-05",), "goes_on": True}
    made.record(entry("judged", "2026-11-06-k", 2, **told))
    for night, version in (("2026-11-20", 2), ("2026-11-21", None)):
        assert sources(made.context(night, gate={"trial_share": 0.1})).trial == version
