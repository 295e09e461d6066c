"""The policy that serves now."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mrlm.promotion.bundle import PolicyBundle, load_bundle
from mrlm.promotion.place import RegistryPlace
from mrlm.promotion.registry import CHAMPION, aliases, version_folder


@dataclass(frozen=True)
class Champion:
    """The champion: its registry version, its bundle, and the folder of its MLflow model."""

    version: int
    bundle: PolicyBundle
    folder: Path


def champion(place: RegistryPlace) -> Champion | None:
    """Load what the alias champion points to; None where there is no champion yet."""
    version = aliases(place).get(CHAMPION)
    if version is None:
        return None
    folder = version_folder(place, version)
    return Champion(version, load_bundle(folder / "artifacts" / "bundle"), folder)
