"""Versions and aliases in the MLflow registry; whoever changes them holds the registry's lock."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mrlm.promotion.canonical import canonical_json
from mrlm.promotion.evidence import Evidence
from mrlm.promotion.ledger import judgement
from mrlm.promotion.model_files import log_served_model
from mrlm.promotion.place import RegistryPlace

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous_champion"
RUN_KEY = "mrlm.run_key"
_RUN_KEY_FORM = re.compile(r"[A-Za-z0-9._:/-]+")
# Limits of MLflow's tables, which SQLite does not enforce and Postgres does.
_DIGEST_LENGTH = 36
_DESCRIPTION_LENGTH = 5000


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
    """

    run_key: str
    night: str
    bundle: Path
    reproduction: Path
    memo: str
    evidence: Evidence | None = None
    pages: Path | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


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
    """
    if not _RUN_KEY_FORM.fullmatch(content.run_key):
        raise ValueError(f"run key {content.run_key!r}: use letters, digits and . _ : / -")
    if content.evidence is not None and content.evidence.run_key != content.run_key:
        raise ValueError(
            f"run key {content.run_key} is given the evidence of {content.evidence.run_key}"
        )
    with place.locked(actor, seconds):
        client = place.client()
        found = find_version(place, content.run_key)
        if found is not None and _outdated(place, found, content):
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


def _outdated(place: RegistryPlace, found: RegisteredVersion, content: VersionContent) -> bool:
    """Whether a version holds other evidence than is registered now, and was not judged yet."""
    if content.evidence is None:
        return False
    same = found.tags.get("mrlm.evidence") == content.evidence.fingerprint()
    return not same and judgement(place.ledger.entries(), content.run_key) is None


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
    if not place.exists:
        return {}
    # Rows of search_model_versions have empty aliases; the model's own are filled.
    model = _model(place, place.client())
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
    """Folder with the version's MLflow model; looked up once, and fetched where it is remote."""
    target = place.folder / "fetched" / str(version)
    if _is_fetched(target):
        # A version never changes, so MLflow need not be asked, nor imported, again.
        return target.resolve()
    place.client()
    import mlflow

    uri = f"models:/{place.model}/{version}"
    target.parent.mkdir(parents=True, exist_ok=True)
    # A killed attempt leaves something of another name, never half a version.
    staging = Path(tempfile.mkdtemp(dir=target.parent))
    if place.tracking_uri is None:
        stored = Path(mlflow.artifacts.download_artifacts(uri, tracking_uri=place.uri))
        link = staging / "link"
        # Relative: in a moved or copied registry it leads to that registry's own version.
        link.symlink_to(os.path.relpath(stored, target.parent))
        link.replace(target)
        staging.rmdir()
    else:
        mlflow.artifacts.download_artifacts(uri, dst_path=str(staging), tracking_uri=place.uri)
        staging.replace(target)
    return target.resolve()


def has_version(place: RegistryPlace, version: int) -> bool:
    """Whether the registry still has a version; MLflow is asked only where it must be."""
    fetched = _is_fetched(place.folder / "fetched" / str(version))
    return fetched or any(v.version == version for v in all_versions(place))


def _is_fetched(target: Path) -> bool:
    """Whether a version lies there; an absolute link may lead into another registry."""
    return target.exists() and not (target.is_symlink() and target.readlink().is_absolute())


def version_evidence(folder: Path) -> Evidence | None:
    """The evidence that was registered with the version in ``folder``; None: it came without."""
    path = folder / "artifacts" / "evidence.json"
    return Evidence.from_json(json.loads(path.read_text())) if path.is_file() else None


def _create(
    place: RegistryPlace, client: Any, experiment: str, content: VersionContent
) -> RegisteredVersion:
    import mlflow

    tags = _tags(content)
    name = f"{place.model} {content.night}"
    run_id = client.create_run(experiment, run_name=name, tags=tags).info.run_id
    if content.evidence is not None:
        _log_evidence(client, run_id, content.evidence)
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
    if _model(place, client) is None:
        client.create_registered_model(place.model)
    made = client.create_model_version(
        place.model,
        source=info.model_uri,
        run_id=run_id,
        tags=tags,
        description=_description(content.memo),
        model_id=info.model_id,
    )
    return RegisteredVersion(
        int(made.version), content.run_key, run_id, tags, content.memo, created=True
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
    metrics = [Metric(n, v, now, 0) for n, v in figures.items() if v is not None]
    params = {
        "north_star": evidence.north_star,
        "fit_nights": " ".join(evidence.fit_nights),
        "tune_nights": " ".join(evidence.tune_nights),
        "gate_nights": " ".join(evidence.gate_nights),
        "rows": str(evidence.rows),
        "users": str(evidence.users),
    }
    for start in range(0, len(metrics), 1000):
        client.log_batch(run_id, metrics=metrics[start : start + 1000])
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


def _model(place: RegistryPlace, client: Any) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(place.model)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
