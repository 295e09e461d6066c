"""The served loop's own parts: the platform's records and files, the accounts, the bars."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from benchmarks.learners.challenger import logger_policy
from benchmarks.loop import served
from benchmarks.loop._platform import (
    Lists,
    deliver,
    feedback_rows,
    impression_rows,
    item_rows,
    recorded,
)
from benchmarks.loop._served_checks import Slots
from benchmarks.loop._served_life import SETTINGS, Deployment, ServedLife
from benchmarks.loop._server import Server
from benchmarks.loop._world import Size
from mrlm.policies.uniform import Uniform
from mrlm.worlds.live_replay import LiveReplay, ShownNight
from pipelines.settings.load import load_settings
from tests.statistics.test_loop_benchmark import made_up

SIZE = Size(seeds=1, nights=5, users=12, max_slots=60)


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path, SIZE, 1)


class FirstServes:
    """A server whose lists are the candidates in their order; it counts who asks."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.clock = ""

    def set_clock(self, at: str) -> None:
        self.clock = at

    def ask(self, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append({**body, "at": self.clock})
        names = body["candidates"]
        left = [names[i:] for i in range(body["k"])]
        slots = [
            {
                "position": i + 1,
                "item_id": own[0],
                "candidates": own,
                "candidate_propensities": [1 / len(own)] * len(own),
            }
            for i, own in enumerate(left)
        ]
        return {"request_id": body["request_id"], "items": slots, "dropped": []}


def night_of(world: LiveReplay, server: FirstServes, record: Path) -> ShownNight:
    return world.show_chosen("served", Lists(cast("Server", server), record, world.slots))


def test_a_request_that_was_answered_is_never_asked_again(
    deployment: Deployment, tmp_path: Path
) -> None:
    record = tmp_path / "answers" / "night.jsonl"
    first = FirstServes()
    log = night_of(deployment.world(), first, record).log
    assert len(first.asked) == len(np.unique(log.decisions.request))
    assert {b["at"] for b in first.asked} == {f"{ts}+00:00" for ts in log.decisions.ts}
    np.testing.assert_array_equal(log.action, 0)
    sizes = np.repeat(*[log.decisions.candidates.lengths] * 2)
    np.testing.assert_allclose(log.candidate_propensity, 1 / sizes)
    # A kill leaves half a line.
    lines = record.read_text().splitlines(keepends=True)
    record.write_text("".join(lines[:-2]) + lines[-2][:20])
    again = FirstServes()
    other = night_of(deployment.world(), again, record).log
    assert [b["request_id"] for b in again.asked] == [b["request_id"] for b in first.asked[-2:]]
    np.testing.assert_array_equal(other.decision_id, log.decision_id)
    np.testing.assert_array_equal(other.candidate_propensity, log.candidate_propensity)
    assert len([*recorded(record)]) == len(first.asked)


def test_requests_bring_what_the_platform_knows(deployment: Deployment, tmp_path: Path) -> None:
    world, server = deployment.world(), FirstServes()
    for night in range(SIZE.nights):
        night_of(world, server, tmp_path / f"{night}.jsonl")
    histories = [b["history"] for b in server.asked]
    known = [set(e["rewards"]) for own in histories for e in own]
    assert {"like", "relative_rating"} in known, "the north star comes three nights late"
    assert {"delight", "like", "relative_rating"} in known
    assert all({"like", "relative_rating"} <= k for k in known)


def test_files_hold_what_was_shown_and_what_it_brought(deployment: Deployment) -> None:
    log = deployment.world().show(Uniform()).log
    rows = [*impression_rows(log)]
    assert len(rows) == len(log)
    for row, propensity in zip(rows, log.propensity, strict=True):
        place = row["candidates"].index(row["item_id"])
        assert row["candidate_propensities"][place] == row["propensity"] == propensity
    at_once, late = [*feedback_rows(log, 0)], [*feedback_rows(log, 3)]
    assert {r["event"] for r in at_once} == {"like", "relative_rating"}
    assert {r["event"] for r in late} == {"delight"}
    assert {r["ts"] for r in late} == {f"{log.night[0] + 3}T00:00:00.000000+00:00"}
    np.testing.assert_array_equal([r["value"] for r in late], log.rewards[:, log.column("delight")])
    (item,) = item_rows(log, [3], "2026-11-09")
    assert item["item_id"] == log.decisions.catalog.item_id[3]
    assert item["text"]


def test_an_item_is_on_offer_first_on_the_night_that_was_foreseen(deployment: Deployment) -> None:
    world, seen = deployment.world(), set[int]()
    for new in deployment.first_offered:
        items = {*world.show(logger_policy()).log.decisions.candidates.values.tolist()}
        assert sorted(items - seen) == new
        seen |= items
    assert all(deployment.first_offered)


def test_the_settings_are_those_of_a_user(deployment: Deployment) -> None:
    of = load_settings(deployment.settings_path)
    assert of.inputs.impressions.path == str(deployment.folder / "workspace/served/dt={night}")
    assert of.gate.promotion == "automatic"
    assert deployment.settings_path.read_text() == SETTINGS.read_text()
    assert {o.name: o.window_nights for o in deployment.world().objectives}["delight"] == 3


def test_bars_hold_and_fail_by_what_was_served(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = deployment.world()
    life = ServedLife(deployment, 2, [world.show(Uniform()) for _ in range(SIZE.nights)])
    for k, name in enumerate(life.names()[2:]):
        verdict = "promoted" if k == 0 else "refused"
        life.told[name] = {"verdict": verdict, "seconds": 1.0}
        deliver(life.answers(name), answered(f"recommender@{min(k, 1) + 1}"))

    def judged(value: float, astray: int, missing: int, apart: float) -> list[bool]:
        lives = {n: [made_up(value, SIZE.nights)] for n in ("frozen", "item mean")}
        for name, result in {
            "_folder": deployment.folder,
            "live": life,
            "lives": lives,
            "slots": Slots(10, astray, 0, 0.0),
            "rewards_not_joined": missing,
            "furthest_probability": apart,
        }.items():
            monkeypatch.setattr(served, name, lambda *_, result=result: result)
        return [row.holds for row in served.run(False) if row.holds is not None]

    assert judged(0.0, 0, 0, 1e-7) == [True] * 7
    assert judged(1.0, 1, 1, 1e-5) == [False] * 4 + [True] * 3
    life.told = {name: {**t, "verdict": "refused"} for name, t in life.told.items()}
    assert judged(0.0, 0, 0, 1e-7)[-2:] == [False, True]


def answered(policy_id: str) -> Iterator[dict[str, Any]]:
    yield {"request_id": "r00000001", "policy_id": policy_id, "items": []}
