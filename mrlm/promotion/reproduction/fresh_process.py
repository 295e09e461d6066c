"""Have a version loaded in a process of its own, by its own code, before it may serve."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from mrlm.evidence.evidence import Evidence
from mrlm.promotion.registry.integrity import DamagedVersionError, VersionError, copy_whole
from mrlm.promotion.registry.place import RegistryPlace
from mrlm.promotion.registry.version_files import version_content, version_evidence, version_folder
from mrlm.promotion.registry.versions import RegisteredVersion
from mrlm.promotion.reproduction.reproduction import (
    fingerprint_as_written,
    read_reproduction,
    table_fingerprint,
)
from mrlm.promotion.settings import GateSettings

_TAIL = 600


# The version's own code runs there: it sees no key, token or address of this process. One thread,
# so that sums of float32 come in one order on every machine.
_ENVIRONMENT = {
    "PYTHONDONTWRITEBYTECODE": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}
# What finds programs and shared libraries, and how text is encoded.
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE")


class ReproductionError(VersionError):
    """The version does not give the probabilities that its evidence was computed with."""


def check_reproduction(
    place: RegistryPlace, version: RegisteredVersion, settings: GateSettings
) -> str:
    """Have a version prove that it is whole and gives its probabilities; what was found, in words.

    Raises:
        NoHashesError: it was registered before hashes of its files were kept.
        DamagedVersionError, ReproductionError, TimeoutError, ChildProcessError: see
            ``reproduce_files``.
    """
    content = version_content(version)
    try:
        folder = version_folder(place, version.version)
        evidence = version_evidence(folder)
        return reproduce_files(folder, content, evidence, settings, erased=True)
    except (DamagedVersionError, ReproductionError) as error:
        raise type(error)(f"version {version.version}: {error}") from error


def reproduce_files(
    folder: Path,
    content: str,
    evidence: Evidence | None,
    settings: GateSettings,
    *,
    erased: bool = False,
) -> str:
    """Load a version in a fresh process and compare its probabilities; what was found, in words.

    The process gets a private copy of the files that ``content`` names, and nothing of this
    process's environment.

    Args:
        folder: the version's MLflow model.
        content: hashes of its files, see ``integrity.content_of``.
        evidence: where it names the stored rows, they must be those.
        settings: tolerance and time limit.
        erased: whether rows may be gone because a person was forgotten. The file itself says so,
            and is believed only where the registry's hashes vouch for it.

    Raises:
        DamagedVersionError: a file was changed, added or removed.
        ReproductionError: the rows are not those of the evidence, the version cannot be loaded, or
            a probability is off by more than the tolerance.
        TimeoutError: the process took too long; trying again may help.
        ChildProcessError: the process was killed; trying again may help.
    """
    with tempfile.TemporaryDirectory() as scratch:
        copy, result = Path(scratch) / "version", Path(scratch) / "result.json"
        copy_whole(content, folder, copy)
        _check_rows(copy / "artifacts" / "reproduction.parquet", evidence, erased)
        _run(copy, result, settings.reproduction_seconds)
        found = json.loads(result.read_text())
    gap = max(found["largest_difference"], found["served_difference"])
    if not gap <= settings.reproduction_tolerance:
        raise ReproductionError(
            f"loaded in a fresh process the version's probabilities differ by up to {gap:.3g} from "
            f"those of the evidence on {found['rows']} rows (at most "
            f"{settings.reproduction_tolerance:.0e})"
        )
    return f"probabilities reproduced in a fresh process on {found['rows']} rows to {gap:.1e}"


def _check_rows(path: Path, evidence: Evidence | None, erased: bool) -> None:
    if not path.is_file():
        raise ReproductionError("it has no stored probabilities: register it again")
    if evidence is not None and evidence.reproduction:
        stored = (
            fingerprint_as_written(path) if erased else table_fingerprint(read_reproduction(path))
        )
        if stored != evidence.reproduction:
            raise ReproductionError(
                f"its stored probabilities are {stored[:12]}, and the evidence names "
                f"{evidence.reproduction[:12]}"
            )


def _run(folder: Path, result: Path, seconds: float) -> None:
    # -P keeps the working folder off the path, so that mrlm is the version's own copy.
    command = [sys.executable, "-P", "-m", "mrlm.promotion.reproduce", str(folder), str(result)]
    home = str(result.parent)
    environment = {
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        **_ENVIRONMENT,
        "PYTHONPATH": str(folder / "code"),
        "HOME": home,
        "TMPDIR": home,
    }
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd=result.parent,
            timeout=seconds,
            capture_output=True,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"loading the version took more than {seconds:.0f} s") from error
    if done.returncode < 0:
        raise ChildProcessError(
            f"the process that loaded the version was killed by signal {-done.returncode}; memory?"
        )
    if done.returncode != 0:
        raise ReproductionError(
            f"the version cannot be loaded in a fresh process: {done.stderr.strip()[-_TAIL:]}"
        )
