"""Versions and aliases in the MLflow registry; whoever changes them holds the registry's lock."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mrlm.evidence.canonical import canonical_json
from mrlm.evidence.evidence import Evidence, evidence_fingerprint
from mrlm.metrics.curves import Curves
from mrlm.promotion.record.ledger import Entry, judgement
from mrlm.promotion.registry.integrity import (
    CONTENT,
    DamagedVersionError,
    NoHashesError,
    content_of,
    damage,
    told,
)
from mrlm.promotion.registry.marks import create_model
from mrlm.promotion.registry.model_files import log_served_model
from mrlm.promotion.registry.place import RegistryPlace

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous_champion"
RUN_KEY = "mrlm.run_key"
_RUN_KEY_FORM = re.compile(r"[A-Za-z0-9._:/-]+")
# Limits of MLflow's tables, which SQLite does not enforce and Postgres does.
_DIGEST_LENGTH = 36
_DESCRIPTION_LENGTH = 5000
# In the folder of a version's MLflow model.
_EVIDENCE = Path("artifacts/evidence.json")


@dataclass(frozen=True)
class RegisteredVersion:
    """A version as the registry has it.

    Attributes:
        version: number, from 1.
        run_key: the idempotence key; "" for a version that somebody made by hand.
        run_id: of its MLflow run.
        tags: all of them.
        description: Markdown.
        created: whether this very call made it.
    """

    version: int
    run_key: str
    run_id: str
    tags: dict[str, str]
    description: str
    created: bool = False


@dataclass(frozen=True)
class VersionContent:
    """What a version is made of.

    Attributes:
        run_key: night and settings' fingerprint.
        night: ISO date.
        bundle: folder that ``save_bundle`` wrote.
        reproduction: Parquet file that ``write_reproduction`` wrote.
        memo: decision memo, Markdown.
        evidence: None for the first champion, which replaces nobody.
        pages: folder of report, plots and data docs, for people; None: none.
        tags: more tags; the prefix ``mrlm.`` is added to their names.
        curves: of the trainings, logged as metrics ``curve/<name>`` with their steps.
    """

    run_key: str
    night: str
    bundle: Path
    reproduction: Path
    memo: str
    evidence: Evidence | None = None
    pages: Path | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    curves: Curves = field(default_factory=Curves)


def register_version(
    place: RegistryPlace, content: VersionContent, *, actor: str, seconds: float = 600.0
) -> RegisteredVersion:
    """Make the run key's version, or find the one that an earlier call made.

    A version whose evidence has changed since is made anew, unless the gate has judged it.

    Everything is stored before the version is created, and the version is created together with
    its run key: killed anywhere, the same call leads to one version.

    Raises:
        ValueError: the run key has characters that a tag filter cannot hold, or the evidence is
            another run's.
        RegistryBusyError: the lock was not free within ``seconds``.
        LedgerError: the ledger is not what the registry's database says.
    """
    if not _RUN_KEY_FORM.fullmatch(content.run_key):
        raise ValueError(f"run key {content.run_key!r}: use letters, digits and . _ : / -")
    if content.evidence is not None and content.evidence.run_key != content.run_key:
        raise ValueError(
            f"run key {content.run_key} is given the evidence of {content.evidence.run_key}"
        )
    with place.locked(actor, seconds):
        entries = place.ledger.confirmed()
        client = place.client()
        found = find_version(place, content.run_key)
        if found is not None and _outdated(entries, found, content):
            # Nobody has decided on it: the evidence as it is now takes its place.
            client.delete_model_version(place.model, str(found.version))
            found = None
        if found is None:
            experiment = _experiment(place, client)
            _drop_unfinished(client, experiment, content.run_key)
            found = _create(place, client, experiment, content)
        newest = max(v.version for v in all_versions(place))
        if content.evidence is not None and found.version == newest:
            client.set_registered_model_alias(place.model, CHALLENGER, str(found.version))
    return found


def _outdated(
    entries: tuple[Entry, ...], found: RegisteredVersion, content: VersionContent
) -> bool:
    """Whether a version holds other evidence than is registered now, and was not judged yet."""
    if content.evidence is None:
        return False
    same = found.tags.get("mrlm.evidence") == content.evidence.fingerprint()
    return not same and judgement(entries, content.run_key) is None


def find_version(place: RegistryPlace, run_key: str) -> RegisteredVersion | None:
    """The version of a run key, or None.

    Raises:
        ValueError: the run key has characters that a tag filter cannot hold.
    """
    if not _RUN_KEY_FORM.fullmatch(run_key):
        raise ValueError(f"run key {run_key!r}: use letters, digits and . _ : / -")
    found = _search(place, f"name = '{place.model}' and tags.`{RUN_KEY}` = '{run_key}'")
    return min(found, key=lambda v: v.version) if found else None


def all_versions(place: RegistryPlace) -> tuple[RegisteredVersion, ...]:
    """Every version of the model, oldest first."""
    return tuple(sorted(_search(place, f"name = '{place.model}'"), key=lambda v: v.version))


def aliases(place: RegistryPlace) -> dict[str, int]:
    """Alias to version; empty where there is no such model yet."""
    # Rows of search_model_versions have empty aliases; the model's own are filled.
    model = place.registered_model()
    return {} if model is None else {str(a): int(v) for a, v in model.aliases.items()}


def set_alias(place: RegistryPlace, alias: str, version: int | None) -> None:
    """Point an alias at a version, or remove it; the caller holds the lock and wrote the ledger."""
    client = place.client()
    if version is not None:
        client.set_registered_model_alias(place.model, alias, str(version))
    elif alias in aliases(place):
        client.delete_registered_model_alias(place.model, alias)


def annotate_version(
    place: RegistryPlace,
    version: int,
    *,
    memo: str | None = None,
    tags: Mapping[str, str] | None = None,
    pages: Path | None = None,
) -> None:
    """Replace the memo, set tags (``mrlm.`` is put before the names), add pages to the run."""
    client = place.client()
    for name, value in (tags or {}).items():
        client.set_model_version_tag(place.model, str(version), f"mrlm.{name}", value)
    if memo is not None:
        client.update_model_version(place.model, str(version), description=_description(memo))
    if pages is not None:
        run_id = client.get_model_version(place.model, str(version)).run_id
        client.log_artifacts(run_id, str(pages), "report")


def version_folder(place: RegistryPlace, version: int) -> Path:
    """Folder with the version's MLflow model, its artifacts as registered; fetched where remote.

    Nothing is read from them before they agree with the hashes that the registry keeps. Of a
    version without hashes only the evidence can be told.

    Raises:
        ValueError: the registry has no such version.
        DamagedVersionError: an artifact was changed, added or removed.
    """
    registered = _registered(place, version)
    folder = _stored(place, registered)
    problems = _damage(registered, folder, "artifacts")
    if problems:
        raise DamagedVersionError(f"version {version} is damaged: {told(problems)}")
    return folder


def version_content(registered: RegisteredVersion) -> str:
    """The hashes of a version's files, without which nothing is decided on it.

    Raises:
        NoHashesError: it was registered before hashes were kept.
    """
    content = registered.tags.get(CONTENT)
    if content is None:
        raise NoHashesError(
            f"version {registered.version} has no hashes of its files, so nobody can tell whether "
            "they are those that were registered: run 'mrlm upgrade --actor YOU', which first "
            "reproduces it"
        )
    return content


def damage_of(place: RegistryPlace, registered: RegisteredVersion) -> tuple[str, ...]:
    """How all files of a version differ from those registered, in words; nothing when whole.

    Of a version that is kept elsewhere, the files there, and not a copy of before.
    """
    if place.tracking_uri is None:
        return _damage(registered, _stored(place, registered))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "version"
        try:
            _download(place, registered, folder)
        except OSError as error:
            return (f"its files cannot be fetched: {error}",)
        return _damage(registered, folder)


def stored_folder(place: RegistryPlace, registered: RegisteredVersion) -> Path:
    """Where a version's files are, unchecked; of one that is kept elsewhere a copy."""
    return _stored(place, registered)


def has_version(place: RegistryPlace, version: int) -> bool:
    """Whether the registry still has a version."""
    return any(v.version == version for v in all_versions(place))


def version_evidence(folder: Path) -> Evidence | None:
    """The evidence that was registered with the version in ``folder``; None: it came without."""
    path = folder / _EVIDENCE
    return Evidence.from_json(json.loads(path.read_text())) if path.is_file() else None


def _registered(place: RegistryPlace, version: int) -> RegisteredVersion:
    found = next((v for v in all_versions(place) if v.version == version), None)
    if found is None:
        raise ValueError(f"version {version} is no longer in the registry")
    return found


def _stored(place: RegistryPlace, registered: RegisteredVersion) -> Path:
    """Where a version's files are; of one that is kept elsewhere a copy in the workspace.

    The database says where they are: a link in the workspace could be pointed elsewhere.
    """
    if place.tracking_uri is None:
        uri = place.client().get_model_version_download_uri(place.model, str(registered.version))
        return _path(uri)
    target = place.folder / "fetched" / str(registered.version)
    if target.is_dir() and not target.is_symlink() and not _damage(registered, target):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    # A killed attempt leaves something of another name, never half a version.
    staging = Path(tempfile.mkdtemp(dir=target.parent))
    _download(place, registered, staging / "whole")
    if target.is_symlink() or target.exists():
        target.replace(staging / "damaged")
    (staging / "whole").replace(target)
    shutil.rmtree(staging)
    return target


def _download(place: RegistryPlace, registered: RegisteredVersion, target: Path) -> None:
    place.client()
    import mlflow

    target.mkdir()
    uri = f"models:/{place.model}/{registered.version}"
    mlflow.artifacts.download_artifacts(uri, dst_path=str(target), tracking_uri=place.uri)


def _path(uri: str) -> Path:
    from mlflow.utils.file_utils import local_file_uri_to_path

    return Path(local_file_uri_to_path(uri))


def _damage(registered: RegisteredVersion, folder: Path, part: str = "") -> tuple[str, ...]:
    content = registered.tags.get(CONTENT)
    if content is not None:
        return damage(content, folder, part)
    evidence, path = registered.tags.get("mrlm.evidence"), folder / _EVIDENCE
    if not folder.is_dir():
        return (f"its folder {folder} is missing: put it back from a backup",)
    if evidence is not None and not path.is_file():
        return (f"{path} is missing: put it back from a backup",)
    if evidence is not None and _fingerprint(path) != evidence:
        return (f"{path} is not the evidence that was registered: put it back from a backup",)
    return ()


def _fingerprint(evidence: Path) -> str:
    try:
        return evidence_fingerprint(json.loads(evidence.read_text()))
    except (ValueError, RecursionError):
        return ""


def _create(
    place: RegistryPlace, client: Any, experiment: str, content: VersionContent
) -> RegisteredVersion:
    import mlflow

    tags = _tags(content)
    name = f"{place.model} {content.night}"
    run_id = client.create_run(experiment, run_name=name, tags=tags).info.run_id
    if content.evidence is not None:
        _log_evidence(client, run_id, content.evidence)
    _log_curves(client, run_id, content.curves)
    if content.pages is not None:
        client.log_artifacts(run_id, str(content.pages), "report")
    with tempfile.TemporaryDirectory() as scratch:
        artifacts = {"bundle": content.bundle}
        artifacts["reproduction"] = Path(scratch) / "reproduction.parquet"
        shutil.copyfile(content.reproduction, artifacts["reproduction"])
        if content.evidence is not None:
            artifacts["evidence"] = Path(scratch) / "evidence.json"
            artifacts["evidence"].write_text(canonical_json(content.evidence.to_json()))
            client.log_artifact(run_id, str(artifacts["evidence"]), "report")
        with mlflow.start_run(run_id=run_id):
            info = log_served_model("policy", artifacts)
        content_tag = content_of(_as_logged(place, client, info, Path(scratch)))
    if place.registered_model() is None:
        create_model(place)
    made = client.create_model_version(
        place.model,
        source=info.model_uri,
        run_id=run_id,
        tags={**tags, CONTENT: content_tag},
        description=_description(content.memo),
        model_id=info.model_id,
    )
    return RegisteredVersion(
        int(made.version), content.run_key, run_id, dict(made.tags), content.memo, created=True
    )


def _as_logged(place: RegistryPlace, client: Any, info: Any, scratch: Path) -> Path:
    """The folder of a model that was logged just now, as the store has it."""
    if place.tracking_uri is None:
        return _path(client.get_logged_model(info.model_id).artifact_location)
    import mlflow

    target = scratch / "logged"
    target.mkdir()
    return Path(
        mlflow.artifacts.download_artifacts(
            info.model_uri, dst_path=str(target), tracking_uri=place.uri
        )
    )


def _description(memo: str) -> str:
    if len(memo) <= _DESCRIPTION_LENGTH:
        return memo
    note = "\n\n(Shortened; the whole memo is memo.md among the report's pages.)"
    return memo[: _DESCRIPTION_LENGTH - len(note)] + note


def _tags(content: VersionContent) -> dict[str, str]:
    tags = {f"mrlm.{n}": v for n, v in content.tags.items()}
    tags |= {RUN_KEY: content.run_key, "mrlm.night": content.night}
    e = content.evidence
    if e is not None:
        tags |= {
            "mrlm.evidence": e.fingerprint(),
            "mrlm.settings": e.settings_fingerprint,
            "mrlm.code_version": e.code_version,
            "mrlm.compared_with": "none" if e.champion_version is None else str(e.champion_version),
            "mrlm.gate_nights": " ".join(e.gate_nights),
        }
    return tags


def _log_evidence(client: Any, run_id: str, evidence: Evidence) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

    now = int(time.time() * 1000)
    figures: dict[str, float | None] = {f"weight/{n}": w for n, w in evidence.weights.items()}
    for what, estimates in [*evidence.policies.items(), ("difference", evidence.differences)]:
        for estimator, objectives in estimates.items():
            for objective, e in objectives.items():
                figures[f"{what}/{estimator}/{objective}"] = e.value
                figures[f"{what}/{estimator}/{objective}/lower"] = e.lower
    metrics = [Metric(_metric_name(n), v, now, 0) for n, v in figures.items() if v is not None]
    _log_metrics(client, run_id, metrics)
    params = {
        "north_star": evidence.north_star,
        "fit_nights": " ".join(evidence.fit_nights),
        "tune_nights": " ".join(evidence.tune_nights),
        "gate_nights": " ".join(evidence.gate_nights),
        "rows": str(evidence.rows),
        "users": str(evidence.users),
    }
    client.log_batch(run_id, params=[Param(n, v) for n, v in params.items()])
    client.log_inputs(
        run_id,
        [
            DatasetInput(
                Dataset(
                    name=name,
                    digest=fingerprint[:_DIGEST_LENGTH],
                    source_type="mrlm",
                    source=json.dumps({"fingerprint": fingerprint}),
                ),
                [InputTag("mlflow.data.context", "evaluation")],
            )
            for name, fingerprint in sorted(evidence.data.items())
        ],
    )


def _metric_name(figure: str) -> str:
    """The figure's name in what MLflow takes: ``dr (stratified)`` has no brackets there."""
    return re.sub(r"[^\w/.\- :]", "", figure)


def _log_curves(client: Any, run_id: str, curves: Curves) -> None:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    _log_metrics(
        client,
        run_id,
        [
            Metric(f"curve/{name}", value, now, step)
            for name, points in curves.points.items()
            for step, value in points
        ],
    )


def _log_metrics(client: Any, run_id: str, metrics: Sequence[Any]) -> None:
    # As many as MLflow takes at once.
    for start in range(0, len(metrics), 1000):
        client.log_batch(run_id, metrics=metrics[start : start + 1000])


def _experiment(place: RegistryPlace, client: Any) -> str:
    found = client.get_experiment_by_name(place.experiment)
    if found is not None:
        return str(found.experiment_id)
    return str(
        client.create_experiment(place.experiment, artifact_location=place.artifact_location)
    )


def _drop_unfinished(client: Any, experiment: str, run_key: str) -> None:
    """Take away what a killed call left: runs of this key, which no version points to."""
    for run in client.search_runs([experiment], f"tags.`{RUN_KEY}` = '{run_key}'"):
        left = client.search_logged_models([experiment], f"source_run_id = '{run.info.run_id}'")
        for model in left:
            client.delete_logged_model(model.model_id)
        client.delete_run(run.info.run_id)


def _search(place: RegistryPlace, query: str) -> list[RegisteredVersion]:
    if not place.exists:
        return []
    client = place.client()
    found: list[Any] = []
    token = None
    while True:
        page = client.search_model_versions(query, max_results=1000, page_token=token)
        found += page
        token = page.token
        if not token:
            break
    return [
        RegisteredVersion(
            version=int(v.version),
            run_key=v.tags.get(RUN_KEY, ""),
            run_id=v.run_id or "",
            tags=dict(v.tags),
            description=v.description or "",
        )
        for v in found
    ]
