"""Each rule of screening: named, counted, and off unless it is set."""

from __future__ import annotations

from dataclasses import replace

import pytest

from spark_jobs import ingest
from spark_jobs.ingestion.ingest_job import IngestJob
from spark_jobs.tables.screening import ScreeningRules

pytestmark = pytest.mark.spark
NIGHT = "2026-11-10"
RULES = ScreeningRules(
    test_users=("qa-*", "load_test"),
    test_policies=("canary-*",),
    value_limits={"rating": (1.0, 5.0)},
    requests_per_minute=3,
)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MRLM_USER_KEY", "a key for the tests")


def test_each_rule_is_counted_by_its_name_and_can_be_left_out(
    spark, logs, impression, event, items
):
    people = ["qa-1", "qa-", "load_test", "loadXtest", "aqa-1", "QA-1"]
    shown = [impression(f"p{i}", user_id=u) for i, u in enumerate(people)]
    shown += [impression("c1", user_id="u1", policy_id="canary-7"), impression("c2", user_id="u2")]
    # Three requests of several slots in a minute are a user's, four are not: all of the night go.
    for user, requests in (("slow", 3), ("fast", 4)):
        for i in range(requests):
            ts = f"{NIGHT}T12:00:{10 * i:02d}Z"
            row = impression(f"{user}{i}", user_id=user, ts=ts)
            shown += [row, row | {"position": 2, "item_id": "b"}]
    shown += [impression("fast-later", user_id="fast", ts=f"{NIGHT}T20:00:00Z")]
    values = (1, 5, 0.5, 5.5, -1)
    events = [event(f"e{i}", "c2", event="rating", value=v) for i, v in enumerate(values)]
    events.append(event("other", "c2", event="dwell", value=1e6))
    logs.write(NIGHT, impressions=shown, feedback=events, items=items("a", "b"))

    counts = ingest.run(spark, logs.job(NIGHT, screening=RULES))
    assert counts["impressions"] == {
        "raw": len(shown),
        "clean": 3 + 1 + 6,
        "duplicate": 0,
        "late": 0,
        "quarantined": {"impossible_speed": 9, "test_traffic": 4},
    }
    assert counts["feedback"]["quarantined"] == {"impossible_value": 3}
    assert counts["feedback"]["clean"] == 3

    busiest = 4
    counts = ingest.run(spark, logs.job(NIGHT, bot_requests_per_night=busiest))
    assert counts["impressions"]["quarantined"] == {"bot": 9}
    counts = ingest.run(spark, logs.job(NIGHT, bot_requests_per_night=0))
    assert counts["impressions"]["quarantined"] == counts["feedback"]["quarantined"] == {}


def test_rules_survive_json(logs):
    job = replace(logs.job(NIGHT), screening=RULES)
    assert IngestJob.from_json(job.to_json()) == job
