"""What tests of several rooms share."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.worlds.latent import latent_log

# Threads beyond the cores slow every test down.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
os.environ.setdefault("MRLM_USER_KEY", "test-key")


# First, because the groups are read by a plugin that is registered later than this file.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share something costly run in one process, and the longest of these start first.

    The rooms are the groups of the rest: their models are fitted once each.
    """
    groups = {item: _group(item) for item in items}
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    first = {"deployment": 0, "spark": 1}
    items.sort(key=lambda item: first.get(groups[item], 2))


def _group(item: pytest.Item) -> str:
    fixtures = getattr(item, "fixturenames", ())
    room = item.path.relative_to(Path(__file__).parent).parts[0]
    return next((f for f in ("deployment", "spark") if f in fixtures), room)


@pytest.fixture(scope="session")
def spark():
    """One session for all rooms; nobody stops it, it ends with the process."""
    from spark_jobs.session import spark_session

    return spark_session(driver_memory="1g", shuffle_partitions=2)


@pytest.fixture(scope="session")
def world() -> tuple[BanditLog, NDArray[np.float64]]:
    """Six nights of a drawn world: likes and ratings of 600 users, and the truth."""
    return latent_log(n_users=600, decisions_per_user=12, n_candidates=6, seed=3)


@pytest.fixture(scope="session")
def fit_log(world: tuple[BanditLog, NDArray[np.float64]]) -> BanditLog:
    """Its first four nights."""
    return world[0].on_nights(["2026-11-09", "2026-11-10", "2026-11-11", "2026-11-12"])
