"""Files of a version that somebody changed: each is found, named, and neither read nor run.

The enemy writes whatever they like into the workspace, and not into the registry's database.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import pytest

from mrlm.policies.loggers.item_softmax import ItemSoftmax
from mrlm.promotion.moves.promote import install_first_champion
from mrlm.promotion.moves.verify import verify
from mrlm.promotion.registry.champion import champion
from mrlm.promotion.registry.place import RegistryPlace
from mrlm.promotion.registry.registration import VersionContent, register_version
from mrlm.promotion.settings import GateSettings
from pipelines.cli import main
from tests.deployment import ROOT, SETTINGS
from tests.promotion.copies import copy_registry

NIGHT = "2026-11-20/abc"


class KilledError(BaseException):
    """Stands for kill -9: nothing catches it."""


@dataclass(frozen=True)
class Workspace:
    """A registry where version 1 was champion before version 2, and commands on it."""

    root: Path

    @property
    def place(self) -> RegistryPlace:
        return RegistryPlace(self.root / "registry")

    def folder(self, version: int) -> Path:
        """Where MLflow's database says that the version's model is."""
        uri = self.place.client().get_model_version_download_uri("recommender", str(version))
        return Path(uri.removeprefix("file://"))

    def champion(self) -> int:
        client = self.place.client()
        return int(client.get_model_version_by_alias("recommender", "champion").version)

    def run(self, *arguments: str) -> int:
        """The exit code of a command, as it would be typed."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["mrlm", *arguments, "--settings", f"{self.root}/mrlm.toml"])
            with pytest.raises(SystemExit) as end:
                main()
        return int(end.value.code or 0)

    def rollback(self) -> int:
        return self.run("rollback", "--actor", "ada", "--reason", "complaints")

    @contextmanager
    def tampered(self, version: int) -> Iterator[Path]:
        """The version's folder, put back afterwards."""
        folder = self.folder(version)
        kept = folder.with_name("kept")
        shutil.copytree(folder, kept)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            kept.rename(folder)


def _workspace(root: Path, registry: Path) -> Workspace:
    copy_registry(registry, root / "registry")
    (root / "mrlm.toml").write_text(
        SETTINGS.replace('workspace = "workspace"', f"workspace = '{root}'")
    )
    return Workspace(root)


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory, templates: dict[str, Path]) -> Workspace:
    made = _workspace(tmp_path_factory.mktemp("promoted"), templates["judged"])
    assert made.run("promote", NIGHT, "--actor", "ada") == 0
    assert made.champion() == 2
    return made


@pytest.fixture
def judged(tmp_path: Path, templates: dict[str, Path]) -> Workspace:
    """The same before the promotion: version 1 is champion, version 2 may be."""
    return _workspace(tmp_path / "judged", templates["judged"])


def _append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def _plant(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"anything")


TAMPERINGS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "a flipped byte": ("artifacts/bundle/catalog.parquet", _flip),
    "a flipped byte in the stored rows": ("artifacts/reproduction.parquet", _flip),
    "a deleted artifact": ("artifacts/bundle/policy/policy.json", Path.unlink),
    "all artifacts deleted": ("artifacts/bundle/bundle.json", lambda p: shutil.rmtree(p.parent)),
    "the folder deleted": ("", shutil.rmtree),
    "code appended": ("code/mrlm/promotion/serving/bundle.py", lambda p: _append(p, "\n1\n")),
    "a module added": ("code/sitecustomize.py", _plant),
    "a compiled module planted": ("code/mrlm/__pycache__/mrlm.cpython-311.pyc", _plant),
    "the loader changed": ("served_model.py", lambda p: _append(p, "\n1\n")),
    "MLflow's description changed": ("MLmodel", lambda p: _append(p, "a: 1\n")),
    "a link for a file": ("artifacts/bundle/catalog.parquet", _link),
    "a link for a folder": ("artifacts", _link),
    "a pipe": ("code/mrlm/pipe", os.mkfifo),
}


@pytest.mark.parametrize("how", TAMPERINGS)
def test_a_damaged_version_is_named_and_nobody_goes_back_to_it(
    promoted: Workspace, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    name, change = TAMPERINGS[how]
    with promoted.tampered(1) as folder:
        change(folder / name)
        assert promoted.run("verify") == 10
        said = capsys.readouterr().out
        assert "version 1: " in said
        assert str(folder / name) in said
        assert promoted.rollback() == 10
        assert str(folder / name) in capsys.readouterr().err
    assert promoted.champion() == 2
    assert promoted.run("verify") == 0


def test_changed_evidence_is_found(promoted: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    with promoted.tampered(2) as folder:
        path = folder / "artifacts" / "evidence.json"
        found = json.loads(path.read_text())
        found["gate_nights"] = ["2026-11-01"]
        path.write_text(json.dumps(found))
        assert promoted.run("verify") == 10
        assert f"version 2: {path}" in capsys.readouterr().out


def test_a_version_that_mlflow_loaded_where_it_lies_is_whole(promoted: Workspace) -> None:
    uri = promoted.place.uri
    mlflow.artifacts.download_artifacts("models:/recommender@champion", tracking_uri=uri)
    mlflow.artifacts.download_artifacts("models:/recommender/1", tracking_uri=uri)
    assert promoted.run("verify") == 0


def test_a_link_in_the_workspace_leads_to_no_other_version(
    promoted: Workspace, softmax: Callable[[float], ItemSoftmax]
) -> None:
    fetched = promoted.root / "registry" / "fetched"
    fetched.mkdir(exist_ok=True)
    (fetched / "2").unlink(missing_ok=True)
    (fetched / "2").symlink_to(promoted.folder(1))
    named = RegistryPlace(promoted.place.folder, tracking_uri=promoted.place.uri)
    for place in (promoted.place, named):
        found = champion(place)
        assert found is not None
        assert found.bundle.policy == softmax(0.5)
    _flip(fetched / "2" / "artifacts" / "bundle" / "policy" / "policy.json")
    found = champion(named)
    assert found is not None
    assert found.bundle.policy == softmax(0.5)


def test_a_version_kept_elsewhere_is_hashed_and_checked_there(
    migrated_store: Path,
    content: Callable[..., VersionContent],
    softmax: Callable[[float], ItemSoftmax],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copyfile(migrated_store, tmp_path / "server.db")
    # Where MLflow puts artifacts that it was told no place for.
    monkeypatch.chdir(tmp_path)
    named = RegistryPlace(tmp_path / "registry", tracking_uri=f"sqlite:///{tmp_path}/server.db")
    register_version(named, content(softmax(0.5), run_key="2026-11-12/a"), actor="test")
    install_first_champion(
        named, "2026-11-12/a", GateSettings(), actor="test", at="2026-11-12", reason="a clone"
    )
    uri = named.client().get_model_version_download_uri(named.model, "1")
    kept = tmp_path / uri.removeprefix("file://")
    assert champion(named) is not None
    _append(kept / "code" / "mrlm" / "promotion" / "serving" / "bundle.py", "\n1\n")
    assert any("bundle.py was changed" in problem for problem in verify(named))


def _spy(folder: Path, told: Path) -> None:
    """Code that writes its environment down whenever a version is loaded."""
    _append(
        folder / "code" / "mrlm" / "promotion" / "serving" / "bundle.py",
        "\nimport json, os\n"
        f"open({str(told)!r}, 'a').write(json.dumps(dict(os.environ)) + chr(10))\n",
    )


def test_appended_code_never_runs(
    judged: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = tmp_path / "told"
    with judged.tampered(2) as folder:
        _spy(folder, told)
        assert judged.run("promote", NIGHT, "--actor", "ada") == 10
        assert "bundle.py was changed since it was registered" in capsys.readouterr().out
    assert not told.exists()
    assert judged.champion() == 1


# Versions of a release that kept no hashes.


@pytest.fixture
def old(tmp_path: Path, promoted: Workspace) -> Workspace:
    """Versions 1 and 2 as an earlier release left them: without hashes."""
    made = _workspace(tmp_path / "old", promoted.root / "registry")
    client = made.place.client()
    for version in ("1", "2"):
        client.delete_model_version_tag("recommender", version, "mrlm.content")
    return made


def test_an_old_version_has_to_be_upgraded_first(
    old: Workspace,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MRLM_USER_KEY", "the user key")
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "a key of Airflow")
    told = tmp_path / "told"
    serving = champion(old.place)
    assert serving is not None
    assert serving.version == 2, "the nights go on"
    assert old.rollback() == 10
    assert "mrlm upgrade" in capsys.readouterr().err
    assert old.run("verify") == 10
    assert "version 1 has no hashes of its files" in capsys.readouterr().out
    with old.tampered(1) as first, old.tampered(2) as second:
        _spy(first, told)
        _flip(second / "artifacts" / "reproduction.parquet")
        assert old.run("upgrade", "--actor", "ada") == 10
        said = capsys.readouterr().out
        assert "version 1: hashes written; probabilities reproduced" in said
        assert "version 2: left without hashes" in said
        for line in told.read_text().splitlines():
            seen = json.loads(line)
            assert "the user key" not in seen.values()
            assert not [n for n in seen if n.startswith(("MRLM_", "AIRFLOW"))]
        assert old.rollback() == 0
    assert old.champion() == 1


def test_an_upgrade_killed_between_ledger_and_registry_is_finished_once(
    old: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_tag = mlflow.MlflowClient.set_model_version_tag

    def die(self: mlflow.MlflowClient, name: str, version: str, key: str, value: str) -> None:
        if key == "mrlm.content" and version == "1":
            raise KilledError
        set_tag(self, name, version, key, value)

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "set_model_version_tag", die)
        with pytest.raises(KilledError):
            old.run("upgrade", "--actor", "ada")
    capsys.readouterr()
    assert old.run("upgrade", "--actor", "eve") == 0
    assert "version 2: hashes written" in capsys.readouterr().out
    entries = [json.loads(x) for x in (old.root / "registry/ledger.jsonl").read_text().splitlines()]
    hashed = [(e["version"], e["actor"]) for e in entries if e["kind"] == "hashed"]
    assert hashed == [(1, "ada"), (2, "eve")]
    assert all(len(e["content"]) == 64 for e in entries if e["kind"] == "hashed")
    assert old.run("verify") == 0
    assert old.run("upgrade", "--actor", "eve") == 0
    assert len((old.root / "registry/ledger.jsonl").read_text().splitlines()) == len(entries)


@pytest.mark.long
def test_an_upgrade_killed_at_random_moments_is_done_once(old: Workspace) -> None:
    """SIGKILL while it starts, reproduces and writes; then the same command to its end."""
    command = [sys.executable, "-m", "pipelines.cli", "upgrade", "--actor", "ada"]
    command += ["--settings", f"{old.root}/mrlm.toml"]
    killed = 0
    # The shortest first: a call that comes to its end leaves the others nothing to do.
    for seconds in np.sort(np.random.default_rng(9).uniform(1, 16, 8)):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            process.wait(float(seconds))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed += 1
    assert killed > 0
    assert old.run("upgrade", "--actor", "ada") == 0
    entries = [json.loads(x) for x in (old.root / "registry/ledger.jsonl").read_text().splitlines()]
    assert [e["version"] for e in entries if e["kind"] == "hashed"] == [1, 2]
    assert old.run("verify") == 0
