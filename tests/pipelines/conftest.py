"""The deployment whose nights the tests share."""

from __future__ import annotations

import pytest

from mrlm.worlds.latent import write_latent
from tests.deployment import NIGHTS, RENAMED, SETTINGS, Deployment, renamed


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Four nights of history and a first champion, through the command line."""
    folder = tmp_path_factory.mktemp("deployment")
    raw = folder / "raw"
    world = write_latent(raw, users=120, nights=len(NIGHTS), slots_per_user_night=6)
    for table in RENAMED:
        for path in sorted((raw / table).rglob("*.jsonl")):
            lines = path.read_text().splitlines()
            path.write_text("".join(f"{renamed(table, x)}\n" for x in lines))
    (folder / "mrlm.toml").write_text(SETTINGS)
    made = Deployment(folder, world)
    made.run("history", NIGHTS[0], NIGHTS[3])
    made.run("bootstrap", "--night", NIGHTS[3])
    return made
