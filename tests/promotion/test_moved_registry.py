"""A registry whose folder was moved or copied goes on where it is, and spares the original."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mrlm.policies.loggers.item_softmax import ItemSoftmax
from mrlm.promotion.moves.promote import promote
from mrlm.promotion.moves.rollback import rollback
from mrlm.promotion.moves.verify import verify
from mrlm.promotion.registry.champion import champion
from mrlm.promotion.registry.place import RegistryPlace
from mrlm.promotion.registry.registration import VersionContent, register_version
from mrlm.promotion.registry.version_files import version_folder
from mrlm.promotion.settings import GateSettings

AT = "2026-11-20T02:00:00+00:00"
NIGHT = "2026-11-20/abc"


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file's time of writing and content."""
    return {
        str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.read_bytes())
        for p in folder.rglob("*")
        if p.is_file()
    }


@pytest.mark.parametrize("how", ["copied", "moved"])
def test_a_registry_goes_on_where_it_was_copied_or_moved_to(
    how: str,
    tmp_path: Path,
    place: RegistryPlace,
    judged: None,
    content: Callable[..., VersionContent],
    softmax: Callable[[float], ItemSoftmax],
) -> None:
    assert version_folder(place, 2).is_relative_to(place.folder)
    # A link of the absolute form, made with the first version, leads into the original.
    absolute, link = version_folder(place, 1), place.folder / "fetched" / "1"
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(absolute)
    # Some of these characters are escaped in addresses.
    there = tmp_path / "another place" / "ö%20" / "registry"
    there.parent.mkdir(parents=True)
    if how == "copied":
        shutil.copytree(place.folder, there, symlinks=True)
    else:
        place.folder.rename(there)
    before = tree(place.folder)
    elsewhere = RegistryPlace(there)

    assert verify(elsewhere) == ()
    assert promote(elsewhere, NIGHT, GateSettings(), actor="policy", at=AT).status == "promoted"
    made = content(softmax(0.7), None, "2026-11-21/new")
    assert register_version(elsewhere, made, actor="test").version == 3
    for version in (1, 2, 3):
        folder = version_folder(elsewhere, version)
        assert folder.is_relative_to(there), version
        assert (folder / "MLmodel").is_file()
    rollback(elsewhere, GateSettings(), actor="Ada", at=AT, reason="a drill")
    serving = champion(elsewhere)
    assert serving is not None
    assert serving.version == 1

    client = elsewhere.client()
    for version in ("1", "2", "3"):
        run = client.get_run(client.get_model_version("recommender", version).run_id)
        assert run.info.artifact_uri.startswith(there.as_uri())
        # The page lists a run's files this way.
        listed = [a.path for a in client.list_artifacts(run.info.run_id)]
        assert listed == (["report"] if version == "2" else [])
    store = sqlite3.connect(there / "mlflow.db")
    assert not [line for line in store.iterdump() if place.folder.as_uri() in line]
    store.close()
    assert tree(place.folder) == before
    assert place.folder.exists() == (how == "copied")


def test_an_experiment_with_a_place_of_its_own_keeps_it(
    place: RegistryPlace, tmp_path: Path
) -> None:
    own = (tmp_path / "other" / "files").as_uri()
    client = place.client()
    client.create_experiment("own", artifact_location=own)
    client.create_experiment("nightly", artifact_location=place.artifact_location)
    (tmp_path / "new").mkdir()
    elsewhere = RegistryPlace(place.folder.rename(tmp_path / "new" / "registry"))
    client = elsewhere.client()
    assert client.get_experiment_by_name("own").artifact_location == own
    found = client.get_experiment_by_name("nightly").artifact_location
    assert found == elsewhere.artifact_location


def test_many_may_open_a_moved_registry_at_once(place: RegistryPlace, tmp_path: Path) -> None:
    place.client().create_experiment("nightly", artifact_location=place.artifact_location)
    (tmp_path / "new").mkdir()
    elsewhere = RegistryPlace(place.folder.rename(tmp_path / "new" / "registry"))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: elsewhere.follow_move(), range(32)))
    found = elsewhere.client().get_experiment_by_name("nightly").artifact_location
    assert found == elsewhere.artifact_location


def test_a_file_that_is_no_database_is_named(place: RegistryPlace) -> None:
    (place.folder / "mlflow.db").write_bytes(b"not a database, and longer than its header" * 9)
    with pytest.raises(ValueError, match=r"mlflow\.db.*not a database"):
        place.client()
