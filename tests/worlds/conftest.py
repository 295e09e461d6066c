from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mrlm.worlds.ratings import CompleteRatings, load_movielens
from mrlm.worlds.replayed import ReplayedWorld, replay
from mrlm.worlds.writer import write_world

SEED = 20261109


@pytest.fixture(scope="session")
def ratings() -> CompleteRatings:
    return load_movielens()


@pytest.fixture(scope="session")
def world(ratings: CompleteRatings) -> ReplayedWorld:
    return replay(ratings, seed=SEED)


@pytest.fixture(scope="session")
def written(
    world: ReplayedWorld, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """The whole demonstration log: its folder and its description."""
    folder = tmp_path_factory.mktemp("demonstration")
    return folder, write_world(folder, world, seed=SEED)
