from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from mrlm.bandit_log.stored import user_sample
from mrlm.embeddings.hashing import HashingEncoder
from pipelines.failures.errors import DamagedError, MissingInputError
from pipelines.nights import lake
from pipelines.stages import stage_named
from tests.evidence.arrays import make_log
from tests.pipelines.nights.workspaces import EMBEDDING, Made

NIGHTS = [f"2026-11-{d:02d}" for d in range(17, 22)]


def log_of(night: str, n: int = 6):
    return make_log(int(night[-2:]), n=n, users=3, nights=(night,))


def test_nights_follow_the_calendar() -> None:
    assert lake.shift("2026-02-28", 1) == "2026-03-01"
    assert lake.shift("2024-03-01", -1) == "2024-02-29"
    assert lake.shift("2026-11-20", 0) == "2026-11-20"


def test_the_command_reads_the_fewest_nights_that_can_be_judged(made: Made) -> None:
    """2 to tune and 3 to fit before the one that is judged: five nights, the last one named."""
    context = made.context(NIGHTS[4], split={"tune_nights": 2, "min_fit_nights": 3})
    assert lake.history_command(context, "2026-11-20") == "mrlm history 2026-11-16 2026-11-20"


def test_earlier_nights_that_were_ingested(made: Made) -> None:
    for night in (*NIGHTS[:2], NIGHTS[3]):
        made.passed(night)
    (made.workspace.lake / NIGHTS[2]).mkdir()
    (made.workspace.lake / "notes").mkdir()
    context = made.context(NIGHTS[3])
    assert list(lake.ingested(context)) == NIGHTS[:2]
    assert list(lake.ingested(context, since=NIGHTS[1])) == [NIGHTS[1]]
    assert list(lake.ingested(made.context(NIGHTS[4]))) == [*NIGHTS[:2], NIGHTS[3]]
    assert lake.ingested(made.context(NIGHTS[0])) == {}


def test_a_table_passed_if_its_night_was_validated_and_not_stopped(made: Made) -> None:
    made.passed(NIGHTS[0])
    made.passed(NIGHTS[1], impressions="stopped")
    context = made.context(NIGHTS[2])
    told = [lake.table_passed(context, n, "impressions") for n in NIGHTS[:3]]
    assert told == [True, False, False]
    assert lake.table_passed(context, NIGHTS[1], "items")
    assert not lake.table_passed(context, NIGHTS[0], "nothing")


def test_the_newest_build_that_is_not_later_than_tonight(made: Made) -> None:
    for night in NIGHTS[:4]:
        made.passed(night)
    made.built(NIGHTS[0], {NIGHTS[0]: log_of(NIGHTS[0])})
    made.built(NIGHTS[2], {n: log_of(n) for n in NIGHTS[:3]})
    made.built(NIGHTS[3], {n: log_of(n) for n in (NIGHTS[3], NIGHTS[1])})
    of = {n: f"night={n}" for n in NIGHTS}
    assert lake.built_logs(made.context(NIGHTS[1])) == {NIGHTS[0]: (NIGHTS[0], of[NIGHTS[0]])}
    assert lake.built_logs(made.context(NIGHTS[2])) == {n: (NIGHTS[2], of[n]) for n in NIGHTS[:3]}
    assert list(lake.built_logs(made.context(NIGHTS[4])).items()) == [
        (NIGHTS[0], (NIGHTS[2], of[NIGHTS[0]])),
        (NIGHTS[1], (NIGHTS[3], of[NIGHTS[1]])),
        (NIGHTS[2], (NIGHTS[2], of[NIGHTS[2]])),
        (NIGHTS[3], (NIGHTS[3], of[NIGHTS[3]])),
    ]


def test_a_night_that_was_stopped_has_no_log(made: Made) -> None:
    made.passed(NIGHTS[0], impressions="stopped")
    made.passed(NIGHTS[1])
    made.built(NIGHTS[1], {n: log_of(n) for n in NIGHTS[:2]})
    assert list(lake.built_logs(made.context(NIGHTS[1]))) == [NIGHTS[1]]


def test_logs_are_named_by_their_content(made: Made) -> None:
    made.passed(NIGHTS[0])
    made.passed(NIGHTS[1])
    manifest = made.built(NIGHTS[1], {n: log_of(n) for n in NIGHTS[:2]})
    context = made.context(NIGHTS[1])
    found = lake.log_fingerprints(context, NIGHTS[:2])
    assert found == {
        f"bandit_log/{n}": manifest.outputs[f"night={n}"].fingerprint for n in NIGHTS[:2]
    }
    assert len(set(found.values())) == 2
    assert lake.log_fingerprints(context, []) == {}
    with pytest.raises(MissingInputError, match=f"mrlm night {NIGHTS[2]}"):
        lake.log_fingerprints(context, [NIGHTS[0], NIGHTS[2]])


def test_a_log_is_read_as_it_was_built_with_tonights_embedding(made: Made) -> None:
    logs = {n: log_of(n) for n in NIGHTS[:2]}
    gone = np.where(np.arange(6) == 2, np.nan, logs[NIGHTS[1]].propensity)
    unknown = np.repeat(np.isnan(gone), 3)
    chance = np.where(unknown, np.nan, logs[NIGHTS[1]].candidate_propensity)
    logs[NIGHTS[1]] = replace(logs[NIGHTS[1]], propensity=gone, candidate_propensity=chance)
    for night in NIGHTS[:2]:
        made.passed(night)
    made.built(NIGHTS[1], logs)
    made.embedded(NIGHTS[1])
    found = lake.read_logs(made.context(NIGHTS[1]), NIGHTS[:2])
    assert found.night.astype(str).tolist() == [n for n in NIGHTS[:2] for _ in range(6)]
    for k, night in enumerate(NIGHTS[:2]):
        own, log = found.take(np.arange(6) + 6 * k), logs[night]
        assert own.decision_id.tolist() == log.decision_id.tolist()
        assert own.decisions.candidates.values.tolist() == log.decisions.candidates.values.tolist()
        for name in ("propensity", "candidate_propensity", "action", "rewards", "final"):
            np.testing.assert_array_equal(getattr(own, name), getattr(log, name))
    embedding = found.decisions.catalog.embedding
    assert embedding is not None
    assert embedding.tolist() == EMBEDDING.tolist()


def test_a_damaged_log_is_not_read(made: Made) -> None:
    made.night(NIGHTS[0], log_of(NIGHTS[0]))
    (path,) = lake.log_paths(made.context(NIGHTS[0]), [NIGHTS[0]])
    part = path / "part-0.parquet"
    part.write_bytes(part.read_bytes()[:-1] + b"?")
    with pytest.raises(DamagedError, match=r"part-0\.parquet is damaged"):
        lake.read_logs(made.context(NIGHTS[0]), [NIGHTS[0]])


def test_the_catalogue_waits_for_its_embedding(made: Made) -> None:
    with pytest.raises(MissingInputError, match="stage embed"):
        lake.read_catalog(made.context(NIGHTS[0]))
    made.embedded(NIGHTS[0])
    found = lake.read_catalog(made.context(NIGHTS[0]))
    assert found.item_id.tolist() == [f"i{c}" for c in range(6)]


def test_of_a_night_with_too_many_decisions_some_users_are_read(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_sample, "_LEAST_USERS", 1)
    nights, many = NIGHTS[:2], 200
    for night in nights:
        made.passed(night)
    logs = {n: make_log(int(n[-2:]), n=many, users=50, nights=(n,)) for n in nights}
    made.built(NIGHTS[1], logs)
    made.embedded(NIGHTS[1])
    context = made.context(NIGHTS[1])
    assert lake.logged_decisions(context, nights) == dict.fromkeys(nights, many)
    whole = lake.read_logs(context, nights, together=2 * many)
    assert len(whole) == 2 * many
    items = whole.decisions.catalog
    for together in (0, 2 * many):
        assert lake.shown_nights(context, nights, items, together) is None
    shown = lake.shown_nights(context, nights, items, many)
    assert shown is not None
    found = [name for part in shown for name in part.decision_id.tolist()]
    assert sorted(found) == sorted(whole.decision_id.tolist())
    fewer = made.context(NIGHTS[1], split={"night_decisions": many // 2})
    assert len(lake.read_logs(fewer, nights, together=0)) == 2 * many
    assert len(lake.read_logs(fewer, nights, together=1)) < many / 2
    for part in (lake.read_logs(context, nights, together=many), lake.read_logs(fewer, nights)):
        assert many / 2 < len(part) < 3 * many / 2
        read = set(zip(part.night.tolist(), part.decisions.user.tolist(), strict=True))
        asked = zip(whole.night.tolist(), whole.decisions.user.tolist(), strict=True)
        kept = [who in read for who in asked]
        assert part.decision_id.tolist() == whole.decision_id[kept].tolist()
    alone = lake.read_logs(fewer, nights[:1])
    both = lake.read_logs(fewer, nights).on_nights(nights[:1])
    assert alone.decision_id.tolist() == both.decision_id.tolist()


def test_vectors_of_described_scenes_are_those_that_the_stage_embedded(made: Made) -> None:
    night, texts = NIGHTS[0], {"home": "films for the evening", "page/2": "a film that was opened"}
    described = made.context(
        night, embedding={"encoder": "hashing", "dimensions": 32, "scene_descriptions": texts}
    )
    folder = made.workspace.lake_stage(night, "embed")
    ingest = made.workspace.lake_stage(night, "ingest")
    (ingest / "catalog").mkdir(parents=True)
    items = log_of(night).decisions.catalog.to_table()
    pq.write_table(items, ingest / "catalog" / "part.parquet")
    made.complete(ingest, "ingest", night, {"catalog": "catalog"})
    for context in (made.context(night, embedding={"encoder": "hashing"}), described):
        folder.mkdir(exist_ok=True)
        product = stage_named("embed").run(context, stage_named("embed").plan(context), folder)
        made.complete(folder, "embed", night, product.outputs)
        assert set(lake.read_scene_vectors(context)) == set(texts if context is described else ())
        assert set(lake.scene_fingerprint(context)) == set(product.outputs) & {"scenes"}
    vectors = lake.read_scene_vectors(described)
    assert vectors["home"].tolist() == HashingEncoder(32).encode([texts["home"]])[0].tolist()
