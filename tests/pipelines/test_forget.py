"""Forgetting a person in a workspace that nights, a promotion and an upgrade have made."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from mrlm.privacy.person import Person, pseudonym_of
from mrlm.promotion.moves.adopt import adopt_ledger
from mrlm.promotion.moves.verify import verify
from mrlm.promotion.record.ledger import Entry, Ledger
from mrlm.promotion.registry.integrity import CONTENT, content_hash, content_of
from mrlm.promotion.registry.version_files import stored_folder
from mrlm.promotion.registry.versions import all_versions, annotate_version
from mrlm.promotion.reproduction.fresh_process import check_reproduction
from pipelines.care.forgetting.erasure import Erasure, forget
from pipelines.care.forgetting.traces import REQUESTS
from pipelines.care.kept import Kept, examine, keep
from pipelines.contract.manifest import Manifest
from pipelines.contract.outputs import damage_of
from pipelines.failures.errors import BusyError, DamagedError, DataError
from pipelines.nights.forgotten_people import forgotten_people, read_list, salt_of
from pipelines.running.lease import holder_of_run, night_lease
from pipelines.running.run_stage import is_unchanged
from pipelines.stages import ORDER, stage_named
from pipelines.stages.tune_weights import ROWS
from tests.deployment import ROOT, Deployment
from tests.pipelines.forgetting import holding
from tests.pipelines.in_process import mrlm

ARCHIVE = Path(__file__).parent / "stored" / "62d6ee2.tar.xz"
NIGHTS = ("2026-11-09", "2026-11-10", "2026-11-11", "2026-11-12")
AT = "2026-11-29T12:00:00+00:00"
KEY = b"test-key"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRLM_USER_KEY", KEY.decode())


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stored workspace, as an upgrade leaves it: hashes of versions, checksums of files."""
    folder = tmp_path_factory.mktemp("forget") / "deployment"
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    made = Deployment(folder, {})
    place = made.context(NIGHTS[-1]).registry
    adopt_ledger(place, actor="ada", at=AT)
    for version in all_versions(place):
        content = content_of(stored_folder(place, version))
        with place.locked("ada"):
            place.ledger.append(
                Entry(
                    "hashed",
                    version.run_key,
                    version.version,
                    "ada",
                    AT,
                    "",
                    content=content_hash(content),
                )
            )
            annotate_version(place, version.version, tags={CONTENT.removeprefix("mrlm."): content})
    context = made.context(NIGHTS[-1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MRLM_USER_KEY", KEY.decode())
        kept = [f for f in examine(context.workspace, context.settings) if isinstance(f, Kept)]
    keep(context.workspace, place, kept, actor="ada", at=AT)
    # A salt is random: copies that are compared share it.
    salt_of(context.workspace)
    logs = folder / "workspace" / "airflow" / "logs"
    logs.mkdir(parents=True)
    user = somebody(made)
    line = f"such as {{'user': '{pseudonym_of(KEY, user)}', 'text': 'a planted text'}}"
    (logs / "attempt=1.log").write_text(f"before\n{line}\nafter\n")
    return folder


def somebody(made: Deployment) -> str:
    """The raw id of a user whom runs, versions and quarantine all know."""
    workspace = made.folder / "workspace"
    (version,) = workspace.glob("registry/artifacts/models/*/artifacts/artifacts/evidence.json")
    stored = pq.read_table(version.with_name("reproduction.parquet"))["user"].to_pylist()
    published = next(workspace.glob("runs/*/publish/recommendations.parquet"))
    known = {*stored} & {*pq.read_table(published)["user"].to_pylist()}
    raw: list[str] = []
    for path in workspace.glob("lake/*/ingest/quarantine/rows/*.parquet"):
        raw += pq.read_table(path)["raw"].to_pylist()
    for path in sorted((made.folder / "raw" / "impressions").rglob("*.jsonl")):
        for line in path.read_text().splitlines():
            try:
                user = json.loads(line)["customer"]
            except (ValueError, KeyError, TypeError):
                continue
            seen = any(f'"{user}"' in text for text in raw)
            if seen and isinstance(user, str) and pseudonym_of(KEY, user) in known:
                return user
    raise AssertionError("nobody is known everywhere")


@pytest.fixture
def made(upgraded: Path, tmp_path: Path) -> Deployment:
    return copied(upgraded, tmp_path / "deployment")


def copied(source: Path, target: Path) -> Deployment:
    shutil.copytree(source, target)
    return Deployment(target, {})


def forgotten(made: Deployment, user: str, **changes: Any) -> Erasure:
    options = {"actor": "ada", "at": AT, "reason": "asked to", "wait": 5.0}
    settings = made.context(NIGHTS[-1]).settings
    return forget(settings, KEY, user, progress=lambda *_: None, **{**options, **changes})


def manifests(made: Deployment) -> dict[str, Manifest]:
    workspace = made.folder / "workspace"
    found = {
        p.parent.relative_to(workspace).as_posix(): Manifest.read(p.parent)
        for p in workspace.glob("*/*/*/manifest.json")
    }
    return {n: m for n, m in found.items() if m is not None}


def entries(made: Deployment) -> list[dict[str, Any]]:
    path = made.folder / "workspace" / "registry" / "ledger.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def unchanged(made: Deployment) -> dict[tuple[str, str], bool]:
    return {
        (night, name): is_unchanged(stage_named(name), made.context(night))
        for night in NIGHTS
        for name in ORDER
    }


def tables(made: Deployment) -> dict[str, list[str]]:
    """By the folder of its files, the rows of each table, in some order, as text."""
    found: dict[str, list[str]] = {}
    workspace = made.folder / "workspace"
    for path in sorted(workspace.rglob("*.parquet")):
        name = path.parent.relative_to(workspace).as_posix()
        name = f"{name}/{path.name}" if "registry" in name or "runs" in name else name
        rows = pq.read_table(path, partitioning=None).to_pylist()
        found.setdefault(name, []).extend(repr(sorted(r.items())) for r in rows)
    return {name: sorted(rows) for name, rows in found.items()}


def test_nothing_but_the_raw_files_knows_them_and_nobody_else_notices(made: Deployment) -> None:
    user = somebody(made)
    pseudonym = pseudonym_of(KEY, user)
    before, done, rows = manifests(made), unchanged(made), tables(made)
    texts = (f'"{user}"', pseudonym, "a planted text")
    workspace = made.context(NIGHTS[-1]).workspace
    opened = workspace.open_nights / "2026-11-13" / "ingest"
    shutil.copytree(workspace.lake_stage(NIGHTS[-1], "ingest"), opened)
    planted = [
        workspace.run_stage(f"{NIGHTS[-1]}-a9fa1eb5", stage) / ROWS
        for stage in ("tune_weights", "tune_weights.superseded-1f2e3d4c")
    ]
    for rows_of_all in planted:
        rows_of_all.mkdir(parents=True)
    there = holding(made.folder / "workspace", *texts)
    kinds = ("build_log", "impressions", "quarantine", "reproduction", "recommend", "airflow")
    kinds += ("open/",)
    for kind in kinds:
        assert any(kind in name for name in there), (kind, there)
    raw = holding(made.folder / "raw", f'"{user}"')
    assert raw

    found = forgotten(made, user)
    assert not found.left
    assert not holding(made.folder / "workspace", *texts)
    assert not opened.exists()
    assert not any(p.exists() for p in planted)
    assert holding(made.folder / "raw", f'"{user}"') == raw
    line = (made.folder / "workspace/airflow/logs/attempt=1.log").read_text().split("\n")
    assert (line[0], line[2]) == ("before", "after")

    # Rows of others are what they were.
    person = Person(user, pseudonym, salt_of(workspace))
    lists = {n for n in tables(made) if n.endswith(f"/{REQUESTS}")}
    for name, now in tables(made).items():
        if name in lists:
            continue
        gone, new = Counter(rows[name]) - Counter(now), Counter(now) - Counter(rows[name])
        if "quarantine" in name:
            assert gone.total() == new.total()
            assert all("('raw', None)" in r and "'forgotten'" in r for r in new)
        else:
            assert not new, name
        if "build_log" in name or "/impressions" in name:
            assert all(pseudonym in r for r in gone)
    assert lists

    # No stage has to run again for it, and nothing is damaged.
    assert unchanged(made) == done
    after = manifests(made)
    assert after.keys() == before.keys()
    for name, manifest in after.items():
        assert not damage_of(made.folder / "workspace" / name)
        assert manifest.outputs == before[name].outputs
        assert manifest.fingerprint == before[name].fingerprint
        for output, now in manifest.erased.items():
            assert now != manifest.outputs[output].fingerprint
    erased = {n.rpartition("/")[2] for n, m in after.items() if m.erased}
    assert {"ingest", "build_log", "evaluate", "publish"} <= erased
    for night in NIGHTS:
        counts = after[f"lake/{night}/ingest"].counts
        written = made.folder / "workspace/lake" / night / "ingest/counts.json"
        assert json.loads(written.read_text()) == counts
        for table in ("impressions", "feedback", "items"):
            own, then = counts[table], before[f"lake/{night}/ingest"].counts[table]
            parts = own["clean"] + own["duplicate"] + own["late"] + sum(own["quarantined"].values())
            assert own["raw"] == parts == then["raw"]
            assert own["clean"] == len(tables(made)[f"lake/{night}/ingest/{table}"])

    # The ledger has the hash alone, and is whole.
    place = made.context(NIGHTS[-1]).registry
    assert verify(place) == ()
    last = entries(made)[-1]
    assert (last["kind"], last["content"], last["actor"]) == ("forgotten", person.hash, "ada")
    # Both versions had an entry with the hash of their files, and rows of the person among them.
    assert [e["kind"] for e in entries(made)].count("hashed") == 4
    assert person.hash in read_list(made.context(NIGHTS[-1]).workspace).hashes
    # The second version was made from their decisions, the first cloned a logger that served them.
    assert set(found.versions) == {1, 2}
    assert set(found.runs) == {"2026-11-12-a9fa1eb5"}


@pytest.mark.long
def test_a_version_without_their_rows_still_proves_its_probabilities(made: Deployment) -> None:
    place = made.context(NIGHTS[-1]).registry
    settings = made.context(NIGHTS[-1]).settings.gate
    forgotten(made, somebody(made))
    version = all_versions(place)[-1]
    told = check_reproduction(place, version, settings)
    assert "reproduced" in told


def test_repeated_it_finds_nothing_and_writes_no_second_entry(made: Deployment) -> None:
    user = somebody(made)
    first = forgotten(made, user)
    files = state(made)
    second = forgotten(made, user, actor="eve")
    assert (first.again, second.again) == (False, True)
    assert second.files == 0
    assert not second.rows
    assert (second.nights, second.runs, second.versions) == (
        first.nights,
        first.runs,
        first.versions,
    )
    assert state(made) == files


def state(made: Deployment) -> dict[str, bytes]:
    """The bytes of all files but the registry's database and locks, and what that holds of ours."""
    root = made.folder
    files = {
        p.relative_to(root).as_posix(): p.read_bytes()
        for p in sorted(root.rglob("*"))
        if p.is_file() and p.suffix not in {".db", ".lock"}
    }
    tags = [v.tags.get(CONTENT, "") for v in all_versions(made.context(NIGHTS[-1]).registry)]
    return {**files, "tags": "\n".join(tags).encode()}


class KilledError(BaseException):
    """Stands for kill -9 at a chosen point: nothing after it runs."""


STEPS = (
    (Path, "rename"),
    (Path, "replace"),
    (Path, "write_text"),
    (Path, "mkdir"),
    (os, "link"),
    (shutil, "rmtree"),
    (Manifest, "write"),
    (Ledger, "append"),
)


def count_steps(patch: pytest.MonkeyPatch, dies_at: int | None) -> list[int]:
    """Count what is written or moved from now on, and die at the given one."""
    done = [0]

    def counted(step: Any) -> Any:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            done[0] += 1
            if done[0] == dies_at:
                raise KilledError
            return step(*args, **kwargs)

        return wrapped

    for owner, name in STEPS:
        patch.setattr(owner, name, counted(getattr(owner, name)))
    return done


@pytest.fixture(scope="module")
def whole(upgraded: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Deployment, int]:
    """A copy in which nobody was killed, and how many steps that took."""
    made = copied(upgraded, tmp_path_factory.mktemp("whole") / "deployment")
    user = somebody(made)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MRLM_USER_KEY", KEY.decode())
        steps = count_steps(patch, None)
        forgotten(made, user)
    return made, steps[0]


def same_end(upgraded: Path, whole: tuple[Deployment, int], target: Path, share: float) -> None:
    made = copied(upgraded, target)
    user = somebody(made)
    with pytest.MonkeyPatch.context() as patch:
        count_steps(patch, 1 + int(share * (whole[1] - 1)))
        with pytest.raises(KilledError):
            forgotten(made, user)
    assert not forgotten(made, user).left
    ended, wanted = state(made), state(whole[0])
    assert ended.keys() == wanted.keys()
    assert [n for n in ended if ended[n] != wanted[n]] == []
    assert [e["kind"] for e in entries(made)].count("forgotten") == 1
    assert verify(made.context(NIGHTS[-1]).registry) == ()


@pytest.mark.parametrize("share", [0.6])
def test_killed_and_repeated_it_ends_in_the_same_state(
    upgraded: Path, whole: tuple[Deployment, int], tmp_path: Path, share: float
) -> None:
    same_end(upgraded, whole, tmp_path / "killed", share)


@pytest.mark.long
@pytest.mark.parametrize("share", [i / 40 for i in range(41)])
def test_killed_anywhere_it_ends_in_the_same_state(
    upgraded: Path, whole: tuple[Deployment, int], tmp_path: Path, share: float
) -> None:
    same_end(upgraded, whole, tmp_path / "killed", share)


@pytest.mark.long
def test_killed_at_random_moments_it_is_done_once(upgraded: Path, tmp_path: Path) -> None:
    """SIGKILL while the command starts, searches, rewrites and records."""
    made = copied(upgraded, tmp_path / "killed")
    user = somebody(made)
    command = made.command("forget", user, "--actor", "ada", "--reason", "asked to")
    rng, ended = np.random.default_rng(5), 0
    for _ in range(10):
        process = subprocess.Popen(command, cwd=ROOT)
        try:
            ended += process.wait(float(rng.uniform(1, 12))) == 0
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    assert ended < 10
    made.run("forget", user, "--actor", "ada", "--reason", "asked to")
    assert not holding(made.folder / "workspace", f'"{user}"', pseudonym_of(KEY, user))
    assert [e["kind"] for e in entries(made)].count("forgotten") == 1
    names = [p.name for p in (made.folder / "workspace").rglob("*")]
    assert not [n for n in names if "eras" in n]
    made.run("verify")


def test_a_night_at_work_is_waited_for(made: Deployment) -> None:
    workspace = made.context(NIGHTS[1]).workspace
    user, before = somebody(made), manifests(made)
    held = night_lease(workspace, NIGHTS[1], holder_of_run("airflow 7"), 5.0, keep=False)
    with held, pytest.raises(BusyError, match="airflow 7"):
        forgotten(made, user, wait=0.1)
    assert manifests(made) == before
    assert read_list(workspace).hashes, "whoever comes meanwhile is dropped already"


def test_a_damaged_output_is_told_and_the_rest_is_done(made: Deployment) -> None:
    user = somebody(made)
    folder = made.folder / "workspace/lake/2026-11-12/ingest"
    path = next(folder.glob("impressions/*.parquet"))
    path.chmod(0o644)
    data = pq.read_table(path)
    pq.write_table(data.slice(1), path)
    before = path.read_bytes()
    found = forgotten(made, user)
    (left,) = found.left
    assert str(path) in left
    assert "mrlm stage ingest --night 2026-11-12" in left
    assert path.read_bytes() == before
    assert "forgotten" not in [e["kind"] for e in entries(made)], "it is not done"
    names = holding(made.folder / "workspace", pseudonym_of(KEY, user))
    assert {n.partition("/ingest/")[0] for n in names} == {"lake/2026-11-12"}


def test_a_version_without_hashes_is_left_until_it_is_upgraded(
    made: Deployment,
) -> None:
    user = somebody(made)
    place = made.context(NIGHTS[-1]).registry
    place.client().delete_model_version_tag(place.model, "2", CONTENT)
    (left,) = forgotten(made, user).left
    assert "version 2" in left
    assert "mrlm upgrade" in left


def test_the_command_says_what_it_did_and_what_it_did_not(made: Deployment) -> None:
    user = somebody(made)
    settings = ("--settings", str(made.settings_path))
    named = mrlm("forget", user, "--actor", "ada", "--reason", f"it is {user}", *settings)
    assert named.code == 10
    assert "names the person" in named.err
    done = mrlm("forget", user, "--actor", "ada", "--reason", "asked to", *settings)
    assert done.code == 0, done.out + done.err
    said = done.out + done.err
    assert "version 2 was made from nights with decisions of the person" in said
    assert "your own raw files were not touched" in said
    assert pseudonym_of(KEY, user) not in said
    assert json.loads(done.out.splitlines()[-1])["again"] is False
    nobody = mrlm("forget", "nobody at all", "--actor", "ada", "--reason", "asked to", *settings)
    assert nobody.code == 0
    assert "no registered version was made from" in nobody.out + nobody.err


def test_a_call_that_breaks_keeps_no_id(made: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    user = somebody(made)

    def breaks(*_: object, **__: object) -> None:
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr("pipelines.care.forgetting.erasure.remember", breaks)
    options = ("--actor", "ada", "--reason", "asked to", "--settings", str(made.settings_path))
    done = mrlm("forget", user, *options)
    assert done.code == 70
    (report,) = (made.folder / "workspace" / "errors").iterdir()
    assert user not in report.read_text() + done.out + done.err


def test_models_of_versions_that_are_gone_are_changed_too(made: Deployment) -> None:
    user = somebody(made)
    models = made.folder / "workspace/registry/artifacts/models"
    (version,) = models.glob("*/artifacts/artifacts/evidence.json")
    left = models / "m-left" / "artifacts" / "artifacts"
    left.mkdir(parents=True)
    shutil.copy(version.with_name("reproduction.parquet"), left)
    assert not forgotten(made, user).left
    assert not holding(made.folder / "workspace", pseudonym_of(KEY, user))


def test_another_key_finds_nobody(made: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRLM_USER_KEY", "another key of the tests")
    options = ("--actor", "ada", "--reason", "asked to", "--settings", str(made.settings_path))
    done = mrlm("forget", somebody(made), *options)
    assert done.code == 10
    assert "does not hold the key" in done.err


def test_a_list_that_is_gone_or_damaged_stops_ingestion(made: Deployment) -> None:
    forgotten(made, somebody(made))
    context = made.context(NIGHTS[-1])
    path = context.workspace.privacy / "forgotten.json"
    assert path.parent.stat().st_mode & 0o077 == 0
    kept = path.read_text()
    path.write_text(kept.replace('"salt": "', '"salt": "0'))
    with pytest.raises(DamagedError, match="Put back a copy"):
        forgotten_people(context)
    path.unlink()
    with pytest.raises(DataError, match="the ledger says"):
        forgotten_people(context)
    path.write_text(kept)
    assert len(forgotten_people(context).hashes) == 1
