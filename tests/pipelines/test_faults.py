"""Files that were cut short, changed or lost between the stage that wrote them and its readers."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from tests.deployment import NIGHTS, Deployment
from tests.pipelines.faulty import (
    FAULTS,
    NIGHT,
    copy_of,
    emptied,
    files_of,
    fingerprints,
    flipped,
    ledger,
    missing,
    mrlm,
    run_key,
    truncated,
    with_a_night,
    workspace,
)

pytestmark = [pytest.mark.night, pytest.mark.spark]

# Who wrote what, and a stage that reads it.
READ = (
    ("ingest", "counts.json", "validate"),
    ("ingest", "impressions/*.parquet", "validate"),
    ("ingest", "feedback/*.parquet", "validate"),
    ("ingest", "items/*.parquet", "validate"),
    ("ingest", "impressions/*.parquet", "build_log"),
    ("ingest", "feedback/*.parquet", "build_log"),
    ("ingest", "catalog/*.parquet", "embed"),
    ("ingest", "catalog/*.parquet", "publish"),
    ("validate", "data_docs/index.html", "register"),
    ("embed", "catalog.parquet", "learn_behaviour"),
    ("embed", "embedding.safetensors", "learn_behaviour"),
    ("build_log", f"night={NIGHT}/decisions/*.parquet", "publish"),
    ("build_log", f"night={NIGHTS[3]}/decisions/*.parquet", "evaluate"),
    ("learn_behaviour", "reward_model/model.json", "learn_policy"),
    ("learn_behaviour", "reward_model/model.safetensors", "learn_policy"),
    ("learn_behaviour", "reward_model/model.safetensors", "evaluate"),
    ("learn_policy", "policy_gradient/**/*", "tune_weights"),
    ("learn_policy", "q_learning/**/*", "tune_weights"),
    ("learn_policy", "baselines/**/*", "evaluate"),
    ("tune_weights", "bundle/**/*", "evaluate"),
    ("tune_weights", "bundle/**/*", "register"),
    ("evaluate", "evidence.json", "gate"),
    ("evaluate", "evidence.json", "register"),
    ("evaluate", "reproduction.parquet", "register"),
)
# What earlier nights wrote, and tonight's stage that reads it.
READ_LATER = (
    ("ingest", "impressions/*.parquet", "ingest"),
    ("ingest", "feedback/*.parquet", "ingest"),
    ("ingest", "catalog/*.parquet", "ingest"),
    ("ingest", "impressions/*.parquet", "build_log"),
    ("build_log", f"night={NIGHTS[0]}/decisions/*.parquet", "learn_behaviour"),
    ("build_log", f"night={NIGHTS[0]}/histories/*.parquet", "learn_policy"),
    ("build_log", f"night={NIGHTS[2]}/decisions/*.parquet", "tune_weights"),
    ("build_log", f"night={NIGHTS[0]}/decisions/*.parquet", "evaluate"),
)


@pytest.fixture(scope="module")
def night(deployment: Deployment) -> Deployment:
    return with_a_night(deployment)


@pytest.fixture
def damaged(night: Deployment, tmp_path: Path) -> Deployment:
    return copy_of(night, tmp_path / "deployment")


def refuses(deployment: Deployment, path: Path, writer: str, reader: str, of: str = NIGHT) -> None:
    """The reader ends with the code for data, names the file, and says what to run."""
    before = ledger(deployment).read_bytes()
    code, said = mrlm(deployment, "stage", reader, "--night", NIGHT, "--force")
    assert code == 10, said
    assert str(path) in said
    assert f"mrlm stage {writer} --night {of}" in said
    assert "Traceback" not in said
    assert ledger(deployment).read_bytes() == before


def mends(deployment: Deployment, stage: str, wanted: dict[str, str], of: str = NIGHT) -> None:
    """What the message said to run makes the same content."""
    code, said = mrlm(deployment, "stage", stage, "--night", of)
    assert code == 0, said
    assert "made again" in said
    assert fingerprints(deployment, stage, of) == wanted


@pytest.mark.parametrize(
    ("writer", "pattern", "reader", "fault"),
    [
        ("ingest", "impressions/*.parquet", "validate", "flipped"),
        ("ingest", "counts.json", "validate", "flipped"),
        ("ingest", "catalog/*.parquet", "embed", "truncated"),
        ("validate", "data_docs/index.html", "register", "flipped"),
        ("build_log", f"night={NIGHTS[3]}/decisions/*.parquet", "evaluate", "flipped"),
        ("learn_policy", "q_learning/*.json", "tune_weights", "flipped"),
        ("evaluate", "reproduction.parquet", "register", "missing"),
    ],
)
def test_a_reader_names_the_damaged_file(
    damaged: Deployment, writer: str, pattern: str, reader: str, fault: str
) -> None:
    path = files_of(damaged, writer, pattern)[0]
    FAULTS[fault](path)
    refuses(damaged, path, writer, reader)


def test_a_damaged_file_of_an_earlier_night_is_named(damaged: Deployment) -> None:
    for writer, pattern, reader in (READ_LATER[0], READ_LATER[4]):
        path = files_of(damaged, writer, pattern, NIGHTS[3])[0]
        whole = path.read_bytes()
        flipped(path)
        refuses(damaged, path, writer, reader, NIGHTS[3])
        path.write_bytes(whole)


@pytest.mark.parametrize(
    ("writer", "pattern", "reader", "fault"),
    [
        ("embed", "embedding.safetensors", "learn_behaviour", "flipped"),
        ("learn_behaviour", "reward_model/model.safetensors", "learn_policy", "truncated"),
        ("tune_weights", "bundle/*.parquet", "evaluate", "emptied"),
        ("evaluate", "evidence.json", "gate", "flipped"),
    ],
)
def test_run_again_the_stage_makes_the_same_content(
    damaged: Deployment, writer: str, pattern: str, reader: str, fault: str
) -> None:
    wanted = fingerprints(damaged, writer)
    path = files_of(damaged, writer, pattern)[0]
    FAULTS[fault](path)
    refuses(damaged, path, writer, reader)
    mends(damaged, writer, wanted)
    code, said = mrlm(damaged, "stage", reader, "--night", NIGHT)
    assert (code, "unchanged: skipped" in said) == (0, True), said


@pytest.mark.parametrize("fault", [flipped, truncated, emptied])
def test_a_damaged_manifest_is_named_and_made_again(damaged: Deployment, fault: object) -> None:
    wanted = fingerprints(damaged, "tune_weights")
    path = files_of(damaged, "tune_weights", "manifest.json")[0]
    assert callable(fault)
    fault(path)
    before = ledger(damaged).read_bytes()
    code, said = mrlm(damaged, "stage", "evaluate", "--night", NIGHT)
    assert code == 10, said
    assert str(path) in said
    assert "Traceback" not in said
    assert ledger(damaged).read_bytes() == before
    mends(damaged, "tune_weights", wanted)


def test_a_digit_in_a_manifest_does_not_pass_for_another(damaged: Deployment) -> None:
    """Valid JSON of the right form that nobody wrote."""
    path = files_of(damaged, "ingest", "manifest.json")[0]
    text = path.read_text()
    counted = json.loads(text)["counts"]["impressions"]["clean"]
    path.write_text(text.replace(f'"clean": {counted}', f'"clean": {counted + 1}'))
    code, said = mrlm(damaged, "stage", "embed", "--night", NIGHT)
    assert code == 10, said
    assert str(path) in said


@pytest.mark.parametrize("fault", [flipped, truncated])
def test_a_damaged_plan_of_a_judged_run_is_named(damaged: Deployment, fault: object) -> None:
    path = workspace(damaged) / "runs" / run_key(damaged) / "plan.json"
    whole = path.read_bytes()
    assert callable(fault)
    fault(path)
    code, said = mrlm(damaged, "stage", "learn_behaviour", "--night", NIGHT)
    assert (code, str(path) in said) == (10, True), said
    path.write_bytes(whole)
    code, said = mrlm(damaged, "stage", "learn_behaviour", "--night", NIGHT)
    assert (code, "unchanged: skipped" in said) == (0, True), said


@pytest.mark.parametrize("fault", [flipped, truncated, emptied])
def test_a_damaged_shard_of_the_embedding_store_is_encoded_again(
    damaged: Deployment, fault: object
) -> None:
    wanted = fingerprints(damaged, "embed")
    shards = (workspace(damaged) / "embeddings").glob("*.parquet")
    path = max(shards, key=lambda p: p.stat().st_size)
    assert callable(fault)
    fault(path)
    code, said = mrlm(damaged, "stage", "embed", "--night", NIGHT, "--force")
    assert code == 0, said
    assert f"{path}.damaged was damaged" in said
    assert fingerprints(damaged, "embed") == wanted
    code, said = mrlm(damaged, "stage", "embed", "--night", NIGHT, "--force")
    assert (code, "damaged" in said) == (0, False), said


def test_what_shows_a_deployment_goes_on_past_what_is_broken(damaged: Deployment) -> None:
    run = workspace(damaged) / "runs" / run_key(damaged)
    broken = [
        files_of(damaged, "validate", "manifest.json", NIGHTS[1])[0],
        files_of(damaged, "evaluate", "manifest.json")[0],
        run / "closing.json",
    ]
    for path in broken:
        truncated(path)
    lease = workspace(damaged) / "locks" / f"night-{NIGHTS[2]}.json"
    lease.write_text("{")
    for command in ("status", "summary"):
        code, said = mrlm(damaged, command)
        assert code == 0, said
        for path in broken:
            # The table of nights folds its lines.
            assert str(path) in said.replace("\n", ""), command
        assert all(n in said for n in NIGHTS[:5])
    code, said = mrlm(damaged, "weights")
    assert (code, run.name in said) == (0, True), said
    code, said = mrlm(damaged, "doctor")
    assert code == 10, said
    assert all(str(p) in said for p in (*broken, lease))


def test_clean_keeps_what_it_does_not_understand(damaged: Deployment) -> None:
    lake, runs = (workspace(damaged) / name for name in ("lake", "runs"))
    names = (lake / "2020-01-01", runs / "2020-01-01-abcdef01")
    for place in names:
        (place / "embed").mkdir(parents=True)
        (place / "embed" / "manifest.json").write_text('{"stage": ')
    (runs / "my notes").mkdir()
    (lake / NIGHT / ".mine").mkdir()
    (runs / "2020-01-02-abcdef01").mkdir()
    code, said = mrlm(damaged, "clean", "--keep", "1")
    assert code == 0, said
    assert all(place.is_dir() and str(place) in said for place in names)
    assert (runs / "my notes").is_dir()
    assert (lake / NIGHT / ".mine").is_dir()
    assert not (runs / "2020-01-02-abcdef01").exists()


@pytest.mark.parametrize("text", ["", "{", '{"owner": 1}', "[" * 100_000, "\x00\xff"])
def test_a_broken_lease_is_named_and_taken_over(damaged: Deployment, text: str) -> None:
    lease = workspace(damaged) / "locks" / f"night-{NIGHT}.json"
    lease.write_text(text)
    code, said = mrlm(damaged, "stage", "embed", "--night", NIGHT, "--wait", "0")
    assert (code, str(lease) in said) == (0, True), said


def test_a_lease_from_the_future_holds_nothing(damaged: Deployment) -> None:
    lease = workspace(damaged) / "locks" / f"night-{NIGHT}.json"
    lease.write_text(json.dumps({"owner": "another run", "host": "elsewhere", "pid": 0}))
    command = ("stage", "embed", "--night", NIGHT, "--wait", "0")
    code, said = mrlm(damaged, *command)
    assert (code, "held by another run" in said) == (75, True), said
    ahead = time.time() + 86400
    os.utime(lease, (ahead, ahead))
    code, said = mrlm(damaged, *command)
    assert code == 0, said


def test_outputs_of_a_version_without_checksums_are_checked_by_their_content(
    damaged: Deployment,
) -> None:
    manifest = files_of(damaged, "learn_behaviour", "manifest.json")[0]
    data = json.loads(manifest.read_text())
    manifest.write_text(
        json.dumps({k: v for k, v in data.items() if k not in {"files", "checksum"}})
    )
    read = ("stage", "learn_policy", "--night", NIGHT, "--force")
    code, said = mrlm(damaged, *read)
    assert code == 0, said
    path = files_of(damaged, "learn_behaviour", "reward_model/model.safetensors")[0]
    flipped(path)
    code, said = mrlm(damaged, *read)
    assert code == 10, said
    assert str(path.parent) in said


@pytest.mark.long
@pytest.mark.parametrize("fault", list(FAULTS))
@pytest.mark.parametrize(("writer", "pattern", "reader"), READ)
def test_every_file_that_a_stage_reads(
    damaged: Deployment, writer: str, pattern: str, reader: str, fault: str
) -> None:
    for path in files_of(damaged, writer, pattern):
        whole = path.read_bytes()
        FAULTS[fault](path)
        refuses(damaged, path, writer, reader)
        path.write_bytes(whole)


@pytest.mark.long
@pytest.mark.parametrize("fault", list(FAULTS))
@pytest.mark.parametrize(("writer", "pattern", "reader"), READ_LATER)
def test_every_file_of_an_earlier_night_that_a_stage_reads(
    damaged: Deployment, writer: str, pattern: str, reader: str, fault: str
) -> None:
    for path in files_of(damaged, writer, pattern, NIGHTS[3])[:2]:
        whole = path.read_bytes()
        FAULTS[fault](path)
        refuses(damaged, path, writer, reader, NIGHTS[3])
        path.write_bytes(whole)


@pytest.mark.long
@pytest.mark.parametrize("writer", sorted({w for w, _, _ in READ}))
def test_every_stage_makes_the_same_content_again(damaged: Deployment, writer: str) -> None:
    wanted = fingerprints(damaged, writer)
    pattern = next(p for w, p, _ in READ if w == writer)
    missing(files_of(damaged, writer, pattern)[0])
    mends(damaged, writer, wanted)
    code, said = mrlm(damaged, "night", NIGHT)
    assert code == 0, said
    assert fingerprints(damaged, writer) == wanted
