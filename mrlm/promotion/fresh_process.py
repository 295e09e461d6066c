"""Have a version loaded in a process of its own, by its own code, before it may serve."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from mrlm.promotion.evidence import Evidence
from mrlm.promotion.reproduction import read_reproduction, table_fingerprint
from mrlm.promotion.settings import GateSettings

_TAIL = 600


class ReproductionError(ValueError):
    """The version does not give the probabilities that its evidence was computed with."""


def check_reproduction(folder: Path, evidence: Evidence | None, settings: GateSettings) -> str:
    """Load the version in a fresh process and compare its probabilities; what was found, in words.

    Args:
        folder: the version's MLflow model.
        evidence: where it names the stored rows, they must be those.
        settings: tolerance and time limit.

    Raises:
        ReproductionError: the rows are not those of the evidence, the version cannot be loaded, or
            a probability is off by more than the tolerance.
        TimeoutError: the process took too long; trying again may help.
        ChildProcessError: the process was killed; trying again may help.
    """
    path = folder / "artifacts" / "reproduction.parquet"
    if not path.is_file():
        raise ReproductionError(f"{path} is missing: register the version again")
    if evidence is not None and evidence.reproduction:
        stored = table_fingerprint(read_reproduction(path))
        if stored != evidence.reproduction:
            raise ReproductionError(
                f"{path} holds rows {stored[:12]}, the evidence names {evidence.reproduction[:12]}"
            )
    with tempfile.TemporaryDirectory() as scratch:
        result = Path(scratch) / "result.json"
        _run(folder, result, settings.reproduction_seconds)
        found = json.loads(result.read_text())
    gap = max(found["largest_difference"], found["served_difference"])
    if not gap <= settings.reproduction_tolerance:
        raise ReproductionError(
            f"loaded in a fresh process the version's probabilities differ by up to {gap:.3g} from "
            f"those of the evidence on {found['rows']} rows (at most "
            f"{settings.reproduction_tolerance:.0e})"
        )
    return f"probabilities reproduced in a fresh process on {found['rows']} rows to {gap:.1e}"


def _run(folder: Path, result: Path, seconds: float) -> None:
    # -P keeps the working folder off the path, so that mrlm is the version's own copy.
    command = [sys.executable, "-P", "-m", "mrlm.promotion.reproduce", str(folder), str(result)]
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder / "code"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
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
        raise TimeoutError(f"loading {folder} took more than {seconds:.0f} s") from error
    if done.returncode < 0:
        raise ChildProcessError(
            f"the process that loaded {folder} was killed by signal {-done.returncode}; memory?"
        )
    if done.returncode != 0:
        raise ReproductionError(
            f"{folder} cannot be loaded in a fresh process: {done.stderr.strip()[-_TAIL:]}"
        )
