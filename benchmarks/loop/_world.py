"""The world of this room, and what every system of it begins with."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from benchmarks._demonstration import settings
from mrlm.bandit_log import BanditLog, Objective
from mrlm.bandit_log.objectives import north_star
from mrlm.embeddings.embed_catalog import embed_catalog
from mrlm.embeddings.factory import make_encoder
from mrlm.embeddings.store import EmbeddingStore
from mrlm.promotion.settings import GateSettings
from mrlm.worlds.live_replay import Floats, LiveReplay, ShownNight, TasteDrift
from mrlm.worlds.ratings import CompleteRatings, load_movielens
from mrlm.worlds.replayed import ReplaySettings

DRIFT = TasteDrift("year", stars=0.5, first=10, last=20)
# Each user comes three times, as users of their own: three ratings are offered for each one shown.
COPIES, TURNOVER = 3, 3
# A thirty-night world has no room for tests of a fortnight.
TEST_NIGHTS = 7
# After the first promotion the champion's log tells nothing of a challenger that does not serve.
TRIAL_SHARE = 0.5


@dataclass(frozen=True)
class Size:
    """How large a run is.

    Attributes:
        seeds: worlds.
        nights: of each.
        users: the first so many; None: everyone.
        max_slots: most slots of a user: of those with more ratings the rest is never offered.
    """

    seeds: int
    nights: int
    users: int | None
    max_slots: int


FULL = Size(seeds=10, nights=30, users=None, max_slots=1000)
QUICK = Size(seeds=1, nights=12, users=130, max_slots=200)


@dataclass
class Past:
    """What one system has logged, oldest night first.

    Attributes:
        logs: as they were written, right or wrong.
        truth: reward of every candidate, float64, shape (N, m), by night; for the oracle alone.
        stopped: nights that validation stopped, ISO dates.
        late: nights after which a north star is final.
    """

    logs: list[BanditLog] = field(default_factory=list)
    truth: list[Floats] = field(default_factory=list)
    stopped: set[str] = field(default_factory=set)
    late: int = field(default_factory=lambda: north_star(settings().objective_tuple).window_nights)

    def add(self, log: BanditLog, shown: ShownNight, *, stopped: bool) -> None:
        """One more night."""
        self.logs.append(log)
        self.truth.append(shown.truth)
        if stopped:
            self.stopped.add(str(log.night[0]))

    @property
    def final(self) -> list[str]:
        """Nights that count, and whose north star is final at the end of the newest, ISO dates."""
        nights = [str(log.night[0]) for log in self.logs[: len(self.logs) - self.late]]
        return [night for night in nights if night not in self.stopped]

    def on(self, nights: Sequence[str]) -> BanditLog:
        """The decisions of these nights."""
        wanted = set(nights)
        return BanditLog.concat([log for log in self.logs if str(log.night[0]) in wanted])


def gate() -> GateSettings:
    """The demonstration's rule with a shorter test, and a trial."""
    return settings().gate.model_copy(
        update={"test_nights": TEST_NIGHTS, "trial_share": TRIAL_SHARE}
    )


def world_of(seed: int, size: Size, objectives: tuple[Objective, ...] | None = None) -> LiveReplay:
    """The world of a seed, before its first night.

    With the demonstration's objectives, or others.
    """
    of = settings()
    return LiveReplay(
        ratings(size.users),
        seed=seed,
        settings=ReplaySettings(nights=size.nights, max_slots=size.max_slots),
        turnover=TURNOVER,
        drift=DRIFT,
        objectives=objectives or of.objective_tuple,
        history_objective=of.state.history_objective,
        history_length=of.state.history_length,
    )


@functools.cache
def ratings(users: int | None) -> CompleteRatings:
    """The ratings, with films embedded by the hashing encoder: it needs no model and no time."""
    found = load_movielens()
    many = len(found) if users is None else users
    index = np.repeat(np.arange(many), COPIES)
    names = [f"{found.user_id[u]}.{k % COPIES}" for k, u in enumerate(index.tolist())]
    found = found.take_users(index, np.array(names, object))
    encoder = make_encoder(settings().embedding.model_copy(update={"encoder": "hashing"}))
    store = EmbeddingStore(Path(tempfile.gettempdir()) / "mrlm-loop-embeddings")
    return replace(found, catalog=embed_catalog(found.catalog, encoder, store)[0])
