"""Finished cells of this room, by the version of the code and the settings that they came from."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path

from benchmarks._kept import Kept
from benchmarks.learners._world import settings
from pipelines.contract.code_version import code_version


def finished(part: str) -> Kept:
    """Those of a part, given its module's name."""
    return Kept("BENCH_LEARNERS", "mrlm-learners.jsonl", version(part))


def version(part: str) -> str:
    """Fingerprint of the settings, and of all code that a part of a benchmark runs."""
    digest = hashlib.sha256(settings().fingerprint().encode())
    own = sorted(path.stem for path in Path(__file__).parent.glob("_[a-z]*.py"))
    for name in [part, *(f"{__package__}.{stem}" for stem in own)]:
        importlib.import_module(name)
        digest.update(code_version(name).encode())
    return digest.hexdigest()[:16]
