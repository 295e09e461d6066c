"""Copies of registries that a test may change."""

from __future__ import annotations

import shutil
from pathlib import Path

from mrlm.promotion.registry.place import RegistryPlace


def copy_registry(source: Path, target: Path) -> Path:
    """A copy that names its own artifacts: the original is never touched through it."""
    leave = shutil.ignore_patterns("registry.lock", "fetched")
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=leave)
    RegistryPlace(target).follow_move()
    return target
