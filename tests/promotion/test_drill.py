"""A rollback that is tried on a copy, and leaves the registry as it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mrlm.promotion.moves.drill import drill_rollback
from mrlm.promotion.moves.promote import promote
from mrlm.promotion.registry.place import RegistryPlace
from mrlm.promotion.registry.version_files import version_folder
from mrlm.promotion.settings import GateSettings

AT = "2026-11-20T02:00:00+00:00"
NIGHT = "2026-11-20/abc"


def content(folder: Path) -> dict[str, bytes]:
    """Every file but the lock, which whoever reads takes too."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != "registry.lock")
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def test_the_copy_goes_back_and_the_registry_stays(place: RegistryPlace, judged: None) -> None:
    promote(place, NIGHT, GateSettings(), actor="rule", at=AT)
    before = content(place.folder)
    found = drill_rollback(place, GateSettings(), at=AT)
    assert (found.left, found.reached) == (2, 1)
    assert found.seconds > 0
    assert content(place.folder) == before


def test_a_drill_fails_where_the_rollback_would(place: RegistryPlace, judged: None) -> None:
    with pytest.raises(ValueError, match="nothing to roll back to"):
        drill_rollback(place, GateSettings(), at=AT)
    promote(place, NIGHT, GateSettings(), actor="rule", at=AT)
    (file, *_) = sorted(version_folder(place, 1).rglob("*.json"))
    file.write_text("{}")
    with pytest.raises(ValueError, match="version 1"):
        drill_rollback(place, GateSettings(), at=AT)


def test_a_store_on_a_server_is_not_copied(place: RegistryPlace) -> None:
    with pytest.raises(ValueError, match="tracking_uri"):
        drill_rollback(replace(place, tracking_uri="http://mlflow"), GateSettings(), at=AT)
