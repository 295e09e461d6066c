"""What a server writes is a night that the ingestion takes as it is."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest

from mrlm.bandit_log import Catalog, Objective
from mrlm.policies.uniform import Uniform
from mrlm.promotion.serving.bundle import PolicyBundle
from mrlm.promotion.serving.live import LiveRequest, LiveVersion
from mrlm.promotion.serving.states import STATES_SCHEMA
from pipelines.serving.impression_log import ImpressionLog
from pipelines.settings.ingestion import Ingestion
from spark_jobs import ingest

pytestmark = pytest.mark.spark
NIGHT, AT = "2026-11-10", datetime(2026, 11, 10, 10, tzinfo=UTC)
NAMES = ["a", "b", "c", "d"]


def test_served_rows_are_clean_and_keep_their_propensities(spark, logs, items) -> None:
    logs.write(NIGHT, items=items(*NAMES))
    objectives = (Objective("click", "feedback", "north_star", event="click"),)
    bundle = PolicyBundle(Uniform(), Catalog.of_names(NAMES), "r", NIGHT, "k", "c", objectives)
    live = LiveVersion("r@2", bundle, STATES_SCHEMA.empty_table())
    log = ImpressionLog(str(logs.folder / "impressions" / "{night}"), {}, Ingestion(), "never")
    wanted = {}
    for n in range(30):
        request = LiveRequest(f"r{n}", f"u{n}", candidates=NAMES[: 2 + n % 3], k=3)
        answer = live.answer(request, AT)
        log.append(answer.impressions(f"person {n}"), AT)
        wanted |= {(f"r{n}", s.position): (s.item_id, s.propensity) for s in answer.slots}
    log.close()
    job = logs.job(NIGHT)
    counts = ingest.run(spark, job)["impressions"]
    assert (counts["raw"], counts["clean"]) == (len(wanted), len(wanted))
    rows = pq.read_table(f"{job.out}/impressions", partitioning=None).to_pylist()
    found = {(r["request_id"], r["position"]): (r["item_id"], r["propensity"]) for r in rows}
    assert found == wanted
    assert all(len(r["candidates"]) == len(r["candidate_propensities"]) for r in rows)
