"""A workspace that commit 62d6ee2 made goes on: what it stored is verified, kept, or listed.

``stored/62d6ee2.tar.xz`` is what that commit's own commands left of three nights of history, a
bootstrap, one night, and a promotion by hand, less images, raw truth and leftovers of Spark.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mrlm.promotion.moves.adopt import adopt_ledger
from mrlm.promotion.record.ledger import Ledger
from pipelines.care import kept as kept_module
from pipelines.care.kept import Kept, Left, examine, keep
from pipelines.contract.manifest import Manifest
from pipelines.contract.outputs import damage_of
from pipelines.failures.errors import DataError
from pipelines.running import run_stage as run_module
from pipelines.running.run_stage import is_unchanged
from pipelines.stages import ORDER, stage_named
from pipelines.stages.embed import Embed
from spark_jobs.tables.pseudonyms import key_id
from tests.deployment import ROOT, Deployment
from tests.pipelines.in_process import mrlm

ARCHIVE = Path(__file__).parent / "stored" / "62d6ee2.tar.xz"
NIGHTS = ("2026-11-09", "2026-11-10", "2026-11-11", "2026-11-12")
AT = "2026-11-28T12:00:00+00:00"
# Their form has changed since, and the others were made from them.
LEFT = (
    *("build_log", "learn_behaviour", "learn_policy", "tune_weights", "evaluate"),
    *("register", "gate", "promote", "publish"),
)


# Shorter than a new workspace may have.
KEY = b"test-key"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRLM_USER_KEY", KEY.decode())


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored") / "unpacked"
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def adopted(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its ledger is marked; versions and outputs are as they were."""
    folder = tmp_path_factory.mktemp("adopted") / "deployment"
    shutil.copytree(unpacked, folder)
    assert adopt_ledger(Deployment(folder, {}).context(NIGHTS[-1]).registry, actor="ada", at=AT)
    return folder


@pytest.fixture
def stored(unpacked: Path, tmp_path: Path) -> Deployment:
    return copied(unpacked, tmp_path / "stored")


def copied(source: Path, target: Path) -> Deployment:
    shutil.copytree(source, target)
    return Deployment(target, {})


def manifests(made: Deployment) -> dict[str, Manifest]:
    """By folder; what was set aside is left out."""
    workspace = made.folder / "workspace"
    found = {
        p.parent.relative_to(workspace).as_posix(): Manifest.read(p.parent)
        for p in workspace.glob("*/*/*/manifest.json")
        if p.parent.name in ORDER
    }
    return {n: m for n, m in found.items() if m is not None}


def examined(made: Deployment) -> tuple[list[Kept], list[Left]]:
    context = made.context(NIGHTS[-1])
    found = list(examine(context.workspace, context.settings))
    return [f for f in found if isinstance(f, Kept)], [f for f in found if isinstance(f, Left)]


def upgraded(made: Deployment, actor: str) -> list[Left]:
    """The part of the command that concerns outputs."""
    context = made.context(NIGHTS[-1])
    kept, left = examined(made)
    return left + keep(context.workspace, context.registry, kept, actor=actor, at=AT)


def entries(made: Deployment) -> list[dict[str, Any]]:
    path = made.folder / "workspace" / "registry" / "ledger.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def command(made: Deployment, *arguments: str, code: int = 0) -> str:
    done = mrlm(*arguments, "--settings", str(made.settings_path))
    assert done.code == code, done.out + done.err
    return done.out + done.err


def test_a_registry_of_before_has_its_first_champion_as_anchor(stored: Deployment) -> None:
    """Nobody is under test there, and what its champion spent was never measured."""
    said = command(stored, "anchor")
    assert "anchor: version 1 (since" in said
    assert "the first champion); gate.anchored = enforce" in said
    assert "what champion version 2 has spent below it is not known yet" in said
    standing = command(stored, "status")
    assert "anchor: version 1" in standing
    # The night itself was closed before a person promoted its version.
    assert "champion: version 2 since" in standing
    assert "promoted by" in standing
    assert "under test" not in command(stored, "status")


def test_an_upgrade_keeps_what_it_verified_and_a_rollback_works(stored: Deployment) -> None:
    before = manifests(stored)
    assert "run 'mrlm upgrade --actor YOU'" in command(stored, "verify", code=10)
    said = command(stored, "upgrade", "--actor", "ada")
    assert said.count("hashes written; probabilities reproduced in a fresh process") == 2
    after = manifests(stored)
    assert after.keys() == before.keys()
    for name, manifest in after.items():
        if name.rpartition("/")[2] in LEFT:
            assert f"{name}: left; " in said
            assert manifest == before[name]
            continue
        assert f"{name}: left" not in said
        # Raw logs have fingerprints of another kind now; they were read and compared.
        changed = {n for n, f in manifest.inputs.items() if f != before[name].inputs[n]}
        assert all(n.startswith("raw/") for n in changed - {"key"})
        assert bool(changed) == ("key" in changed) == name.endswith("/ingest")
        assert manifest.inputs.get("key", key_id(KEY)) == key_id(KEY)
        same = replace(
            manifest,
            inputs=before[name].inputs,
            fingerprint=before[name].fingerprint,
            code_version=before[name].code_version,
            files=None,
            form=0,
        )
        assert same == before[name], "its content stays"
        assert manifest.files
        assert "manifest.json" not in manifest.files
        assert not damage_of(stored.folder / "workspace" / name)
    left = sum(name.rpartition("/")[2] in LEFT for name in after)
    assert f"outputs of earlier code: {len(after) - left} kept, {left} left" in said

    for night in NIGHTS:
        context = stored.context(night)
        for name in ORDER:
            place = context.of(name, stage_named(name).place).folder
            known = place.relative_to(context.workspace.root).as_posix() in after
            assert is_unchanged(stage_named(name), context) == (known and name not in LEFT)
    for name in ("ingest", "validate", "embed"):
        assert '"unchanged": true' in command(stored, "stage", name, "--night", NIGHTS[-1])

    written = entries(stored)
    assert [e["kind"] for e in written[5:]] == ["adopted", "hashed", "hashed", "kept"]
    assert {e["actor"] for e in written[5:]} == {"ada"}
    (path,) = (stored.folder / "workspace" / "upgrades").iterdir()
    listed = json.loads(path.read_text())
    assert written[-1]["content"].startswith(path.stem)
    assert listed["outputs"] == {
        n: m.fingerprint for n, m in after.items() if n.rpartition("/")[2] not in LEFT
    }

    assert '"champion": 2' in command(stored, "verify")
    assert f"0 kept, {left} left" in command(stored, "upgrade", "--actor", "eve")
    assert entries(stored) == written
    rolled = command(stored, "rollback", "--actor", "ada", "--reason", "back to the old one")
    assert '"champion": 1' in rolled
    assert '"champion": 1' in command(stored, "verify")


class KilledError(BaseException):
    """Stands for kill -9 at a chosen point: nothing after it runs."""


def dies_at(number: int) -> Callable[..., None]:
    """In place of ``Manifest.write``: does so until it is called for the ``number``-th time."""
    write, calls = Manifest.write, 0

    def counted(self: Manifest, folder: Path) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            raise KilledError
        write(self, folder)

    return counted


def killed(*args: object) -> None:
    raise KilledError


@pytest.mark.parametrize(
    "point", ["the list", "the entry", "the mark", "manifest 1", "manifest 6", "manifest 12"]
)
def test_killed_anywhere_the_same_call_finishes_it(
    adopted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    whole = copied(adopted, tmp_path / "whole")
    left = upgraded(whole, "ada")
    made = copied(adopted, tmp_path / "killed")
    with monkeypatch.context() as patch:
        if point == "the list":
            patch.setattr(kept_module, "write_sealed", killed)
        elif point == "the entry":
            patch.setattr(Ledger, "append", killed)
        elif point == "the mark":
            patch.setattr("mrlm.promotion.record.ledger._ending", killed)
        else:
            patch.setattr(Manifest, "write", dies_at(int(point.split()[1])))
        with pytest.raises(KilledError):
            upgraded(made, "ada")
    again = upgraded(made, "eve")
    assert [x.reason for x in again] == [x.reason for x in left]
    assert manifests(made) == manifests(whole)
    assert [e["kind"] for e in entries(made)].count("kept") == 1
    lists = [{p.name for p in (m.folder / "workspace/upgrades").iterdir()} for m in (made, whole)]
    assert lists[0] == lists[1]
    assert made.context(NIGHTS[-1]).registry.ledger.problems() == ()


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damaged", "of"),
    [
        ("lake/2026-11-11/ingest/impressions/*.parquet", "ingest"),
        ("lake/2026-11-11/ingest/counts.json", "ingest"),
        ("lake/2026-11-12/validate/verdict.json", "validate"),
        ("lake/2026-11-12/embed/embedding.safetensors", "embed"),
        ("lake/2026-11-12/embed/manifest.json", "embed"),
        ("lake/2026-11-12/build_log/night=2026-11-11/*.parquet", "build_log"),
        ("runs/*/learn_behaviour/reward_model/model.safetensors", "learn_behaviour"),
        ("runs/*/publish/about.json", "publish"),
    ],
)
def test_a_flipped_byte_is_listed_and_never_kept(
    adopted: Path, tmp_path: Path, damaged: str, of: str
) -> None:
    made = copied(adopted, tmp_path / "damaged")
    path = next((made.folder / "workspace").glob(damaged))
    flipped(path)
    folder = next(p for p in path.parents if p.name == of)
    before = (folder / "manifest.json").read_bytes()
    kept, left = examined(made)
    assert folder not in [k.folder for k in kept]
    (told,) = (x for x in left if x.folder == folder)
    assert told.damaged
    assert str(path) in told.reason or str(path.parent) in told.reason
    assert "stage" in told.reason
    upgraded(made, "ada")
    assert (folder / "manifest.json").read_bytes() == before
    assert any(k.folder.name == "ingest" for k in kept), "the others are kept"


def test_what_was_made_from_what_is_left_is_left(adopted: Path, tmp_path: Path) -> None:
    made = copied(adopted, tmp_path / "damaged")
    flipped(next((made.folder / "workspace/lake/2026-11-12/ingest/catalog").glob("*.parquet")))
    left = {x.folder.name: x for x in examined(made)[1] if "2026-11-12" in str(x.folder)}
    assert left["ingest"].damaged
    for name in ("embed", "validate"):
        assert "which is not kept" in left[name].reason


def test_lists_that_earlier_code_cut_in_csv_files_are_not_kept(adopted: Path) -> None:
    context = Deployment(adopted, {}).context(NIGHTS[-1])
    inputs = context.settings.inputs
    csv = inputs.model_copy(
        update={"feedback": inputs.feedback.model_copy(update={"format": "csv"})}
    )
    settings = context.settings.model_copy(update={"inputs": csv})
    found = [f for f in examine(context.workspace, settings) if f.folder.name == "ingest"]
    assert len(found) == len(NIGHTS)
    assert all(isinstance(f, Left) and "CSV" in f.reason for f in found)


def test_the_id_of_another_key_is_left_as_it_was(
    adopted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MRLM_USER_KEY", "another key of the tests")
    made = copied(adopted, tmp_path / "other")
    before = manifests(made)
    upgraded(made, "ada")
    for name, manifest in manifests(made).items():
        assert manifest.inputs.get("key") == before[name].inputs.get("key")
    night = made.context(NIGHTS[-1])
    with pytest.raises(DataError, match="holds another key"):
        stage_named("ingest").inputs(night, stage_named("ingest").plan(night))
    for short, says in (("test-keys", "9 bytes"), ("", "no key")):
        monkeypatch.setenv("MRLM_USER_KEY", short)
        with pytest.raises(DataError, match=says):
            stage_named("ingest").inputs(night, stage_named("ingest").plan(night))


def test_the_next_code_keeps_an_output_of_its_form_and_no_other(
    adopted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = copied(adopted, tmp_path / "next")
    upgraded(made, "ada")
    assert not examined(made)[0]
    for module in (kept_module, run_module):
        monkeypatch.setattr(module, "code_version", lambda name: f"next {name}")
    monkeypatch.setattr(Embed, "form", Embed.form + 1)
    kept, left = examined(made)
    assert {k.folder.name for k in kept} >= {"ingest", "validate"}
    embeds = [x.reason for x in left if x.folder.name == "embed"]
    assert len(embeds) == 4
    assert "its form is 1, and the stage's is 2 now" in embeds[0]


@pytest.mark.long
def test_killed_at_random_moments_it_is_done_once(unpacked: Path, tmp_path: Path) -> None:
    """SIGKILL while the command starts, reproduces versions, verifies and writes."""
    whole, made = (copied(unpacked, tmp_path / n) for n in ("whole", "killed"))
    whole.run("upgrade", "--actor", "ada")
    rng, ended = np.random.default_rng(5), 0
    for _ in range(8):
        process = subprocess.Popen(made.command("upgrade", "--actor", "ada"), cwd=ROOT)
        try:
            ended += process.wait(float(rng.uniform(1, 30))) == 0
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    assert ended < 8
    made.run("upgrade", "--actor", "ada")
    assert manifests(made) == manifests(whole)
    kinds = [e["kind"] for e in entries(made)]
    assert kinds == [e["kind"] for e in entries(whole)]
    made.run("verify")
