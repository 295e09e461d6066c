"""``mrlm serve`` on a deployment: it answers, logs what it answered, and follows the champion."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.deployment import NIGHTS, Deployment
from tests.pipelines.faulty import copy_of, mrlm, run_key, with_a_night

pytestmark = [pytest.mark.night, pytest.mark.spark]


@pytest.fixture
def made(deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    monkeypatch.setenv("MRLM_SERVING__RELOAD_SECONDS", "0.2")
    return copy_of(with_a_night(deployment), tmp_path / "deployment")


@pytest.fixture
def url(made: Deployment) -> Iterator[str]:
    server = made.start("serve", "--port", "0")
    printed = []
    try:
        for line in server.lines():
            printed.append(line)
            found = re.search(r"running on (http://\S+)", line)
            if found:
                break
        else:
            pytest.fail("".join(printed))
        yield found[1]
    finally:
        server.end()


def shown_to_users(made: Deployment) -> list[dict[str, Any]]:
    """Impressions of the night as the logger wrote them, under the contract's names."""
    (path,) = (made.folder / "raw/impressions" / f"dt={NIGHTS[4]}").glob("*.jsonl")
    rows = []
    for line in path.read_text().splitlines():
        try:
            row = json.loads(line)
            rows.append({"user_id": row["customer"], "candidates": row["pool"]})
        except (ValueError, KeyError, TypeError):
            continue
    # The log has dirt: rows without a user, or with candidates that are none.
    return [r for r in rows if r["user_id"] and isinstance(r["candidates"], list)][:200]


def test_it_answers_logs_and_follows_the_champion_without_dropping_a_request(
    made: Deployment, url: str
) -> None:
    asked = shown_to_users(made)
    answers: list[dict[str, Any]] = []
    refused: list[str] = []
    ended = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            for n in range(100_000):
                if ended.is_set():
                    return
                body = asked[n % len(asked)] | {"request_id": f"r{n}", "k": 2}
                found = client.post("/recommend", json=body)
                (answers if found.status_code == 200 else refused).append(found.json())

    users = threading.Thread(target=ask)
    users.start()
    try:
        before = _policy_after(answers, 5)
        for command in _moves(made, before):
            code, told = mrlm(made, *command)
            assert code == 0, told
        after = _other_policy(answers, before)
    finally:
        ended.set()
        users.join()
    assert refused == []
    assert before != after
    assert any(a["known_user"] for a in answers)
    served = [
        json.loads(line)
        for path in (made.folder / "workspace/served").rglob("*.jsonl")
        for line in path.open()
    ]
    wanted = [
        (a["request_id"], a["policy_id"], s["position"], s["item_id"], s["propensity"])
        for a in answers
        for s in a["items"]
    ]
    assert wanted == [
        (r["rid"], r["policy_id"], r["position"], r["item_id"], r["p"]) for r in served
    ]
    assert all(sum(r["pool_p"]) == pytest.approx(1.0) for r in served)


def _moves(made: Deployment, champion: str) -> list[tuple[str, ...]]:
    """Commands that make another version champion, whatever the gate said of the night."""
    said = ("--actor", "tester", "--reason", "to be served")
    if not champion.endswith("@1"):
        return [("rollback", *said)]
    key = run_key(made)
    return [("decide", key, "--approve", *said), ("promote", key, "--actor", "tester")]


def _policy_after(answers: list[dict[str, Any]], many: int) -> str:
    deadline = time.monotonic() + 60
    while len(answers) < many and time.monotonic() < deadline:
        time.sleep(0.05)
    policy: str = answers[-1]["policy_id"]
    return policy


def _other_policy(answers: list[dict[str, Any]], than: str) -> str:
    deadline = time.monotonic() + 60
    while answers[-1]["policy_id"] == than and time.monotonic() < deadline:
        time.sleep(0.05)
    policy: str = answers[-1]["policy_id"]
    return policy


def test_other_machines_are_let_in_with_a_key_alone(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MRLM_SERVING_KEY", raising=False)
    code, said = mrlm(deployment, "serve", "--host", "0.0.0.0")  # noqa: S104 - it is refused
    assert code == 10
    assert "MRLM_SERVING_KEY" in said
    monkeypatch.delenv("MRLM_USER_KEY")
    code, said = mrlm(deployment, "serve")
    assert code == 10
    assert "MRLM_USER_KEY" in said
