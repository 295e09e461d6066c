"""The HTTP interface, asked as a platform asks it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from mrlm.policies.uniform import Uniform
from mrlm.promotion.serving.bundle import PolicyBundle
from mrlm.promotion.serving.live import LiveVersion
from mrlm.promotion.serving.states import STATES_SCHEMA, last_states, states_table
from mrlm.worlds.latent import latent_log
from pipelines.serving.app import Service, make_app
from pipelines.serving.current import Answering, LiveSources
from pipelines.serving.impression_log import ImpressionLog
from pipelines.settings.model import Settings
from pipelines.settings.serving import Serving
from tests.pipelines.nights.workspaces import Made

LOG, _ = latent_log(n_users=20, decisions_per_user=4, n_candidates=6, seed=1)
ITEMS = [str(i) for i in LOG.decisions.catalog.item_id[:5]]


@dataclass
class Still:
    """What answers, without a registry behind it."""

    answering: Answering
    reloads: int = 0

    def change(self, **changes: Any) -> None:
        self.answering = replace(self.answering, **changes)


@dataclass
class Served:
    """A client, and where the served rows lie."""

    client: TestClient
    current: Still
    folder: Path
    log: ImpressionLog
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, **body: Any) -> Any:
        headers = {"content-type": "application/json", **self.headers}
        return self.client.post("/recommend", content=json.dumps(body), headers=headers)

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for p in self.folder.rglob("*.jsonl") for line in p.open()]


def version(policy_id: str) -> LiveVersion:
    bundle = PolicyBundle(
        Uniform(), LOG.decisions.catalog, "r", "2026-11-20", "k", "c", LOG.objectives
    )
    return LiveVersion(policy_id, bundle, states_table(last_states(LOG)))


@pytest.fixture
def made(tmp_path: Path) -> Settings:
    return Made(tmp_path).context("2026-11-20").settings


def served(settings: Settings, folder: Path, key: str = "") -> Served:
    found = LiveSources(2, "2026-11-20", ())
    current = Still(Answering(version("r@2"), found, datetime(2026, 11, 20, tzinfo=UTC)))
    log = ImpressionLog(str(folder / "{night}"), {}, settings.ingestion, "never")
    # The platform's ids of this world are the pseudonyms themselves.
    service = Service(current, log, settings, lambda user: user, key)  # type: ignore[arg-type]
    return Served(TestClient(make_app(service)), current, folder, log)


def test_what_is_answered_is_logged_and_nothing_else(made: Settings, tmp_path: Path) -> None:
    server = served(made, tmp_path)
    found = server.ask(user_id="u1", candidates=[*ITEMS, "gone"], k=3, scene="home").json()
    assert found["dropped"] == [{"item_id": "gone", "reason": "it is not in the catalogue"}]
    assert [s["position"] for s in found["items"]] == [1, 2, 3]
    rows = server.rows()
    assert len(rows) == 3
    for row, slot in zip(rows, found["items"], strict=True):
        assert {name: row[name] for name in slot} == slot
        assert (row["request_id"], row["user_id"]) == (found["request_id"], "u1")
        assert (row["policy_id"], row["scene"], row["ts"]) == ("r@2", "home", found["ts"])
    assert server.ask(user_id="nobody").status_code == 422
    assert server.ask(user_id="u1", candidates=["gone"]).status_code == 422
    assert len(server.rows()) == 3


@pytest.mark.parametrize(
    ("version_", "trouble", "told"),
    [(2, "", None), (1, "version 2 is damaged", "last good version"), (0, "damaged", "popularity")],
)
def test_what_answers_in_place_of_the_champion_is_said_and_not_why(
    made: Settings, tmp_path: Path, version_: int, trouble: str, told: str | None
) -> None:
    server = served(made, tmp_path)
    found_ = replace(server.current.answering.found, version=version_)
    server.current.change(found=found_, trouble=trouble)
    found = server.ask(user_id="u1", candidates=ITEMS).json()
    assert (found["fallback"], found["candidates_from"]) == (told, "request")
    assert trouble == "" or trouble not in str(found)


def test_what_takes_over_during_an_answer_is_not_told_of_it(
    made: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = served(made, tmp_path)
    append = server.log.append

    def taken_over(*given: Any) -> None:
        server.current.change(live=version("r@3"), trouble="version 4 is damaged")
        append(*given)

    monkeypatch.setattr(server.log, "append", taken_over)
    found = server.ask(user_id="u1", candidates=ITEMS).json()
    assert (found["policy_id"], found["fallback"]) == ("r@2", None)
    again = server.ask(user_id="u1", candidates=ITEMS).json()
    assert (again["policy_id"], again["fallback"]) == ("r@3", "last good version")


def test_a_known_user_needs_no_candidates(made: Settings, tmp_path: Path) -> None:
    server = served(made, tmp_path)
    user = str(LOG.decisions.user[0])
    found = server.ask(user_id=user).json()
    assert found["known_user"]
    assert len(found["items"]) == min(made.publishing.k, 5)
    again = server.ask(user_id=user, request_id="mine").json()
    assert again["request_id"] == "mine"
    assert server.ask(user_id=user, request_id="mine").json()["items"] == again["items"]


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ({}, 422, "user_id"),
        ({"user_id": "u", "candidate": ["a"]}, 422, "candidate"),
        ({"user_id": "u", "candidates": ["a"], "k": 0}, 422, "k"),
        ({"user_id": "u", "candidates": ITEMS, "k": 101}, 422, "serving.most_slots"),
        ({"user_id": "u", "candidates": ["a"] * 11}, 413, "serving.most_candidates"),
        ({"user_id": "u", "history": [{"item_id": "a"}] * 6}, 413, "serving.most_history"),
        ({"user_id": "u" * 5000}, 413, "serving.most_bytes"),
        ({"user_id": "u", "history": [{"item_id": "a", "rewards": {"x": "much"}}]}, 422, "rewards"),
        ({"user_id": "u", "history": [{"item_id": "a", "rewards": {"x": 1e39}}]}, 422, "rewards"),
        ({"user_id": "\ud800", "candidates": ["a"]}, 422, "unicode"),
        ({"user_id": "u", "candidates": ["a", "\ud800"]}, 422, "surrogate"),
        ({"user_id": "u", "\ud800": 1}, 422, "unicode"),
        ({"user_id": "u", "scene": "s" * 257}, 422, "scene"),
    ],
)
def test_a_wrong_request_is_refused_and_told_why(
    made: Settings, tmp_path: Path, body: dict[str, Any], code: int, said: str
) -> None:
    limits = Serving(most_candidates=10, most_history=5, most_bytes=4096)
    server = served(made.model_copy(update={"serving": limits}), tmp_path)
    found = server.ask(**body)
    assert found.status_code == code
    assert said in found.text
    assert "Traceback" not in found.text
    assert server.rows() == []


def test_without_its_length_a_request_is_not_read(made: Settings, tmp_path: Path) -> None:
    server = served(made, tmp_path)
    found = server.client.post("/recommend", content=iter([b"{}"]))
    assert found.status_code == 411


def test_a_key_is_asked_for_where_there_is_one(made: Settings, tmp_path: Path) -> None:
    server = served(made, tmp_path, key="a long key")
    body = {"user_id": "u", "candidates": ITEMS}
    assert server.ask(**body).status_code == 401
    assert server.client.get("/metrics").status_code == 401
    assert server.client.get("/health").status_code == 200, "for whoever watches the process"
    server.headers = {"authorization": "Bearer another key"}
    assert server.ask(**body).status_code == 401
    server.headers = {"authorization": "Bearer a long key"}
    assert server.ask(**body).status_code == 200


def test_what_cannot_be_logged_is_not_served(made: Settings, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    server = served(made, blocked)
    found = server.ask(user_id="u", candidates=ITEMS)
    assert found.status_code == 503
    assert "items" not in found.json()
    assert 'mrlm_requests_total{outcome="not_logged"} 1.0' in server.client.get("/metrics").text


def test_each_answer_is_of_one_version_and_health_says_which(
    made: Settings, tmp_path: Path
) -> None:
    server = served(made, tmp_path)
    body = {"user_id": "u", "candidates": ITEMS, "k": 5}
    before = server.ask(**body).json()
    after_ = replace(version("r@3"), states=STATES_SCHEMA.empty_table())
    server.current.change(live=after_, found=LiveSources(3, "2026-11-21", ()))
    server.current.reloads = 1
    after = server.ask(**body).json()
    assert (before["policy_id"], after["policy_id"]) == ("r@2", "r@3")
    assert {(r["request_id"], r["policy_id"]) for r in server.rows()} == {
        (a["request_id"], a["policy_id"]) for a in (before, after)
    }
    health = server.client.get("/health").json()
    assert (health["status"], health["policy_id"], health["users"]) == ("ok", "r@3", 0)
    server.current.change(trouble="version 4 is damaged")
    assert server.client.get("/health").json()["status"] == "degraded"
    told = server.client.get("/metrics").text
    assert "mrlm_champion_version 3.0" in told
    assert "mrlm_newest_not_loaded 1.0" in told
    assert "mrlm_slots_total 10.0" in told
    assert 'mrlm_requests_total{outcome="answered"} 2.0' in told


def test_who_is_on_trial_is_said(tmp_path: Path) -> None:
    settings = Made(tmp_path).context("2026-11-20", gate={"trial_share": 0.25}).settings
    server = served(settings, tmp_path)
    assert server.client.get("/health").json()["trial"] is None
    assert "mrlm_trial_share 0.0" in server.client.get("/metrics").text
    server.current.change(found=replace(server.current.answering.found, trial=7))
    assert server.client.get("/health").json()["trial"] == {"version": 7, "share": 0.25}
    told = server.client.get("/metrics").text
    assert "mrlm_trial_version 7.0" in told
    assert "mrlm_trial_share 0.25" in told
