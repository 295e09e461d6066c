"""A run becomes a version, with all that it was decided on."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mrlm.evidence.canonical import canonical_json
from mrlm.evidence.evidence import Evidence
from mrlm.metrics.curves import Curves
from mrlm.promotion.record.ledger import Entry, judgement
from mrlm.promotion.registry.integrity import CONTENT, content_of
from mrlm.promotion.registry.logged_run import log_curves, log_evidence
from mrlm.promotion.registry.marks import create_model
from mrlm.promotion.registry.model_files import log_served_model
from mrlm.promotion.registry.place import RegistryPlace
from mrlm.promotion.registry.version_files import local_path
from mrlm.promotion.registry.versions import (
    CHALLENGER,
    RUN_KEY,
    RUN_KEY_FORM,
    RegisteredVersion,
    all_versions,
    description_of,
    find_version,
)


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
    if not RUN_KEY_FORM.fullmatch(content.run_key):
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


def _create(
    place: RegistryPlace, client: Any, experiment: str, content: VersionContent
) -> RegisteredVersion:
    import mlflow

    tags = _tags(content)
    name = f"{place.model} {content.night}"
    run_id = client.create_run(experiment, run_name=name, tags=tags).info.run_id
    if content.evidence is not None:
        log_evidence(client, run_id, content.evidence)
    log_curves(client, run_id, content.curves)
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
        description=description_of(content.memo),
        model_id=info.model_id,
    )
    return RegisteredVersion(
        int(made.version), content.run_key, run_id, dict(made.tags), content.memo, created=True
    )


def _as_logged(place: RegistryPlace, client: Any, info: Any, scratch: Path) -> Path:
    """The folder of a model that was logged just now, as the store has it."""
    if place.tracking_uri is None:
        return local_path(client.get_logged_model(info.model_id).artifact_location)
    import mlflow

    target = scratch / "logged"
    target.mkdir()
    return Path(
        mlflow.artifacts.download_artifacts(
            info.model_uri, dst_path=str(target), tracking_uri=place.uri
        )
    )


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
