"""What tests of several rooms share."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.worlds.latent import latent_log

# For the processes that tests start; the Makefile tells this one, before anything is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
os.environ.setdefault("MRLM_USER_KEY", "a key for the tests")
# As for most people: a process that leaves compiled modules where it must not is seen.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("mrlm", deadline=None)
settings.load_profile("mrlm")


# How long an example takes says more of the machine's other work than of the code.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")

# Spark takes a main module without a file, as a test process has, for doctests, and ends it.
if not hasattr(sys.modules["__main__"], "__file__"):
    sys.modules["__main__"].__file__ = __file__

# Tests that share something costly run in one process, and the longest of these start first: the
# deployment's nights, the Spark session, then room by room, whose models are fitted once each.
_FIRST = ("nights", "spark", "pipelines")
# Those that use the deployment; another one would make nights of its own.
_NIGHTS = {
    f"test_{of}.py"
    for of in (
        *("airflow", "faults", "moved", "refusals", "serve_command"),
        *("weights_commands", "whole_night"),
    )
}
# Of the pipelines, those that run Spark in their own process: its first use costs half a minute.
_SPARK = {
    f"test_{of}.py"
    for of in (
        *("bad_input", "forget_nights", "history", "hostile_text"),
        *("logs_command", "open_night", "readme"),
    )
}
# Those that start Java anew, and so need no process that has one.
_JAVA = {f"test_{of}.py" for of in ("java", "kept_java", "session")}


def _group(nodeid: str) -> str:
    room = nodeid.partition("::")[0].removeprefix("tests/").split("/")
    if room[0] == "pipelines":
        if room[1] in _NIGHTS:
            return "nights"
        return "spark" if room[1] in _SPARK | {"expectations"} else room[0]
    if room[0] == "spark_jobs":
        return "java" if room[1] in _JAVA else "spark"
    return "spark" if room[0] == "examples" else room[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        group = _group(item.nodeid)
        return (*_FIRST, group).index(group)

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid)

    return ByGroup(config, log)


@pytest.fixture(scope="session")
def spark():
    """One session for all rooms; nobody stops it, it ends with the process."""
    from spark_jobs.runtime.session import spark_session

    return spark_session(driver_memory="1g", shuffle_partitions=2)


@pytest.fixture(scope="session")
def world() -> tuple[BanditLog, NDArray[np.float64]]:
    """Six nights of a drawn world: likes and ratings of 600 users, and the truth."""
    return latent_log(n_users=600, decisions_per_user=12, n_candidates=6, seed=3)


@pytest.fixture(scope="session")
def fit_log(world: tuple[BanditLog, NDArray[np.float64]]) -> BanditLog:
    """Its first four nights."""
    return world[0].on_nights(["2026-11-09", "2026-11-10", "2026-11-11", "2026-11-12"])


# Numbers are unknown to it but for two: few texts differ, so that few have to be read.
_WORDS = (
    *("action", "animation", "comedy", "crime", "documentary", "drama", "romance", "sci", "fi"),
    *("film", "a", "like", "rating", "shown", "home", "0", "1", ".", ",", ":", "(", ")", "-"),
)


@pytest.fixture(scope="session")
def small_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer BERT whose words are those of the drawn world's texts."""
    # Not at the top: processes that tests start run this file as their main module, and there an
    # installed package may bring another module "tests".
    from tests.small_bert import save_bert

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *_WORDS]
    folder = tmp_path_factory.mktemp("small-bert")
    return save_bert(
        folder, words, hidden_size=16, intermediate_size=16, max_position_embeddings=64
    )
