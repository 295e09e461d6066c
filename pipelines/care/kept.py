"""Outputs of earlier code: verified by what their manifests state, and kept for the code of now.

An output is kept where its content is what its manifest says, its stage still writes that form, and
all that it was made from is kept too. It gets a manifest with the code version of now, so that its
stage finds it unchanged. Its content, and so what later stages read as their inputs, stays.

Killed anywhere, the same call goes on: the list of what is kept is written first, then the ledger's
entry, which holds the list's hash, then each manifest in one piece.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import Timeout

from mrlm.promotion.record.ledger import Entry
from mrlm.promotion.registry.place import RegistryPlace
from pipelines.contract import checksums, earlier_fingerprints, fingerprints
from pipelines.contract.code_version import code_version
from pipelines.contract.context import NightContext
from pipelines.contract.manifest import FILE_NAME, Manifest
from pipelines.contract.outputs import damage
from pipelines.contract.sealed import read_sealed, write_sealed
from pipelines.contract.stage import Stage
from pipelines.contract.workspace import Workspace, is_night
from pipelines.failures.errors import DamagedError
from pipelines.nights.arrivals import PRIVATE, raw_inputs
from pipelines.running.run_stage import fingerprint_of, output_lock
from pipelines.settings.model import Settings
from pipelines.stages import DATA, ORDER, stage_named

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_LOCK_SECONDS = 5.0

# What the outputs of code that stated no form lack.
_LACKING = {
    "build_log": "since then histories hold the rewards of every objective, once a user and night",
    "learn_behaviour": "since then the model reads all objectives and what others thought of items",
    "learn_policy": "since then it fits simple baselines too, and the log gives its first weights",
    "tune_weights": "since then tuning.json calls shares what it called weights",
    "publish": "since then lists are drawn over the newest items and carry their candidates",
    "evaluate": "since then the evidence holds the difference to the logger",
}


@dataclass(frozen=True)
class Kept:
    """An output that is as it was written, and of a form that its stage still has.

    Attributes:
        folder: of the stage.
        before: the manifest that it has.
        after: the manifest that says that it is of the code of now.
    """

    folder: Path
    before: Manifest
    after: Manifest


@dataclass(frozen=True)
class Left:
    """An output of earlier code that is not kept.

    Attributes:
        folder: of the stage.
        reason: why, and what to do.
        damaged: whether it is not as it was written.
    """

    folder: Path
    reason: str
    damaged: bool = False


def examine(workspace: Workspace, settings: Settings) -> Iterator[Kept | Left]:
    """Read and verify every output of earlier code, each after what it was made from.

    Nothing is written. What the code of now has made, or has kept before, is passed over.

    Args:
        workspace: where to look.
        settings: say in which format raw logs come.

    Raises:
        OSError: a file is there and cannot be read.
    """
    left: dict[str, Path] = {}
    for folder in _folders(workspace):
        stage = stage_named(folder.name)
        try:
            found = Manifest.read(folder)
        except DamagedError as error:
            yield Left(folder, str(error), damaged=True)
            continue
        if found is None or found.code_version == code_version(type(stage).__module__):
            continue
        judged = _judge(stage, folder, found, NightContext(found.night, settings, workspace), left)
        if isinstance(judged, Left):
            made = (found.output_fingerprint(), *(o.fingerprint for o in found.outputs.values()))
            left.update(dict.fromkeys(made, folder))
        yield judged


def keep(
    workspace: Workspace,
    place: RegistryPlace,
    kept: list[Kept],
    *,
    actor: str,
    at: str,
    seconds: float = 600.0,
) -> list[Left]:
    """Write who keeps what, then the new manifests.

    Where there is no registry yet, there is no ledger either, and the list alone says who.

    Args:
        workspace: of the outputs.
        place: the registry.
        kept: see ``examine``.
        actor: who vouches for what has no fingerprint, such as pages.
        at: ISO time.
        seconds: longest wait for the registry's lock.

    Returns:
        Those that a stage has changed since, or is at work on.

    Raises:
        RegistryBusyError: somebody else holds the registry's lock.
        LedgerError: the ledger is not what commands wrote.
    """
    if not kept:
        return []
    outputs = {_name(workspace, k.folder): k.after.fingerprint for k in kept}
    if place.exists and place.registered_model() is not None:
        with place.locked(actor, seconds):
            _record(workspace, place, outputs, actor, at)
    else:
        _write_list(workspace, outputs, actor, at)
    return [left for k in kept if (left := _stamp(k)) is not None]


def _folders(workspace: Workspace) -> Iterator[Path]:
    for night in workspace.nights():
        yield from (workspace.lake_stage(night, name) for name in DATA)
    runs = workspace.runs.iterdir() if workspace.runs.is_dir() else ()
    for key in sorted(p.name for p in runs if is_night(p.name[:10])):
        yield from (workspace.run_stage(key, n) for n in ORDER if n not in DATA)


def _judge(
    stage: Stage[Any],
    folder: Path,
    found: Manifest,
    context: NightContext,
    left: dict[str, Path],
) -> Kept | Left:
    again = f"'mrlm stage {found.stage} --night {found.night}'"
    if found.run_key:
        again += " under the settings of that run"
    wrong = _damage(folder, found)
    if wrong:
        why = f"{wrong}: run {again}, which makes it anew, then repeat this command"
        return Left(folder, why, damaged=True)
    lacking = _lacking(stage, found, context.settings)
    if lacking:
        return Left(folder, f"{lacking}: {again} makes it anew, if that night is run again")
    read = {f for value in found.inputs.values() for f in _FINGERPRINT.findall(value)}
    origin = next((left[f] for f in sorted(read) if f in left), None)
    if origin is not None:
        place = f"{origin.parent.name}/{origin.name}"
        return Left(folder, f"it was made from {place}, which is not kept; {again} makes it anew")
    stated = found.files
    files = checksums.of_files(folder, PRIVATE) if stated is None else stated
    inputs = found.inputs | _raw_of_now(stage, found, context) | _key_of_now(stage, found, context)
    after = replace(
        found,
        fingerprint=fingerprint_of(stage, inputs, found.settings_fingerprint),
        inputs=inputs,
        code_version=code_version(type(stage).__module__),
        files={n: s for n, s in files.items() if not n.startswith((FILE_NAME, f".{FILE_NAME}"))},
        form=stage.form,
    )
    return Kept(folder, found, after)


def _damage(folder: Path, found: Manifest) -> str:
    """What is wrong with an output, by all that its manifest states; empty when nothing is."""
    stage = stage_named(folder.name)
    if found.fingerprint != fingerprint_of(
        stage, found.inputs, found.settings_fingerprint, found.code_version
    ):
        return f"{folder / FILE_NAME} is damaged: its fingerprint is of other inputs"
    wrong = damage(folder, found)
    counts = folder / "counts.json"
    if not wrong and counts.exists():
        try:
            said = json.loads(counts.read_bytes())
        except ValueError as error:
            return f"{counts} is damaged: {error}"
        if said not in (found.counts, found.counts.get("nights")):
            return f"{counts} is damaged: its counts are not those of the manifest"
    return wrong


def _raw_of_now(stage: Stage[Any], found: Manifest, context: NightContext) -> dict[str, str]:
    """Raw logs that are what the night read, by the fingerprints that its stage asks for now."""
    places = raw_inputs(context) if stage.name == "ingest" else {}
    return {
        name: fingerprints.of_raw(place)
        for name, place in places.items()
        if name in found.inputs and _is_as_read(place, found.inputs[name])
    }


def _key_of_now(stage: Stage[Any], found: Manifest, context: NightContext) -> dict[str, str]:
    """The id of the pseudonyms' key as it is written now, where the key is still the same."""
    from spark_jobs.tables.pseudonyms import is_known, key_id

    key = os.environ.get(context.settings.ingestion.user_key_variable, "").encode()
    if stage.name != "ingest" or not key or not is_known(key, [found.inputs["key"]]):
        return {}
    return {"key": key_id(key)}


def _is_as_read(place: str, fingerprint: str) -> bool:
    try:
        return earlier_fingerprints.of_raw(place) == fingerprint
    except (FileNotFoundError, DamagedError):
        return False


def _lacking(stage: Stage[Any], found: Manifest, settings: Settings) -> str:
    """Why an output that is whole is not what the stage would make; empty when it is."""
    if found.form not in {0, stage.form}:
        return f"its form is {found.form}, and the stage's is {stage.form} now"
    if found.form == 0:
        tables = (settings.inputs.impressions, settings.inputs.feedback, settings.inputs.items)
        if stage.name == "ingest" and any(t.format == "csv" for t in tables):
            return "earlier code cut characters off the elements of lists in CSV files"
        return _LACKING.get(stage.name, "")
    return ""


def _record(
    workspace: Workspace, place: RegistryPlace, outputs: dict[str, str], actor: str, at: str
) -> None:
    """The list and its entry, unless a call that was killed has written them."""
    lists = [_read_list(workspace, e.content) for e in place.ledger.confirmed() if e.kind == "kept"]
    if any(outputs.items() <= written.items() for written in lists):
        return
    digest, path = _write_list(workspace, outputs, actor, at)
    reason = f"{len(outputs)} outputs of earlier code are kept, as {path.name} lists them"
    place.ledger.append(Entry("kept", "", None, actor, at, reason, content=digest))


def _write_list(
    workspace: Workspace, outputs: dict[str, str], actor: str, at: str
) -> tuple[str, Path]:
    digest = fingerprints.of_json(outputs)
    path = _list(workspace, digest)
    write_sealed(path, {"actor": actor, "at": at, "outputs": outputs})
    return digest, path


def _read_list(workspace: Workspace, digest: str) -> dict[str, str]:
    """Folder to new fingerprint of a list; empty where it is gone or another one."""
    try:
        outputs = read_sealed(_list(workspace, digest), lambda data: dict(data["outputs"]), "")
    except (FileNotFoundError, DamagedError):
        return {}
    return outputs if fingerprints.of_json(outputs) == digest else {}


def _list(workspace: Workspace, digest: str) -> Path:
    return workspace.upgrades / f"{digest[:16]}.json"


def _name(workspace: Workspace, folder: Path) -> str:
    return folder.relative_to(workspace.root).as_posix()


def _stamp(kept: Kept) -> Left | None:
    busy = "a stage has changed it since or is at work on it: repeat this command"
    try:
        with output_lock(kept.folder).acquire(timeout=_LOCK_SECONDS):
            if Manifest.read(kept.folder) != kept.before:
                return Left(kept.folder, busy)
            kept.after.write(kept.folder)
    except Timeout:
        return Left(kept.folder, busy)
    return None
