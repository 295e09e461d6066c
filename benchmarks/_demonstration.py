"""The demonstration in memory: the log that ``make run`` reads, without its dirt, and the truth."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks._kept import code_of
from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.objectives import north_star
from mrlm.bandit_log.ragged import gather
from mrlm.embeddings.embed_catalog import embed_catalog
from mrlm.embeddings.factory import make_encoder
from mrlm.embeddings.store import EmbeddingStore
from mrlm.worlds.memory import replay_log
from mrlm.worlds.ratings import CompleteRatings, load_movielens
from mrlm.worlds.replayed import ReplaySettings
from pipelines.settings.load import load_settings
from pipelines.settings.model import Settings

NIGHTS, FIT_NIGHTS = 12, 8
# The seed of the demonstration's own log, then others.
OWN_SEED = 20261109
QUICK_USERS = 110


@dataclass(frozen=True)
class KnownLog:
    """Decisions of some nights, and what each candidate would have brought.

    Attributes:
        log: n decisions, N candidates in all.
        truth: float64, shape (N,), the north star where the candidate is shown.
    """

    log: BanditLog
    truth: NDArray[np.float64]

    def on_nights(self, nights: list[str]) -> KnownLog:
        """The decisions of these nights, given as ISO dates."""
        index = np.flatnonzero(np.isin(self.log.night, np.array(nights, "datetime64[D]")))
        flat, _ = gather(self.log.decisions.offsets, index)
        return KnownLog(self.log.take(index), self.truth[flat])


def seeds(count: int) -> list[int]:
    """The first seeds of the logger."""
    return [OWN_SEED, *range(1, count)]


@functools.cache
def settings() -> Settings:
    """The demonstration's settings."""
    place = files("pipelines.local.demonstrations").joinpath("movielens.toml")
    with as_file(place) as path:
        return load_settings(path)


def version(part: str) -> str:
    """Fingerprint of these settings, and of all code that a part of a room runs."""
    return f"{code_of(part)}-{settings().fingerprint()}"


def demonstration(seed: int, users: int | None = None) -> KnownLog:
    """All nights under this seed of the logger: everyone once, or the first ``users`` only."""
    of = settings()
    log, truth = replay_log(
        ratings(users),
        seed=seed,
        users=None,
        settings=ReplaySettings(nights=NIGHTS),
        objectives=of.objective_tuple,
        history_objective=of.state.history_objective,
        history_length=of.state.history_length,
    )
    star = north_star(of.objective_tuple).name
    return KnownLog(log, truth[:, log.column(star)])


@functools.cache
def ratings(users: int | None) -> CompleteRatings:
    """The ratings with the embedding that a night gives the films.

    That is the demonstration's transformer, whose vectors are kept in the temporary folder. Some
    users only take the hashing encoder, which needs no model: it is for quick runs and tests.
    """
    found = load_movielens()
    embedding = settings().embedding
    if users is not None:
        embedding = embedding.model_copy(update={"encoder": "hashing"})
        found = found.take_users(np.arange(users))
    store = EmbeddingStore(Path(tempfile.gettempdir()) / "mrlm-learners-embeddings")
    catalog, _ = embed_catalog(found.catalog, make_encoder(embedding), store)
    return replace(found, catalog=catalog)


def nights_of(known: KnownLog) -> list[str]:
    """All nights, oldest first, as ISO dates."""
    return [str(night) for night in np.unique(known.log.night)]
