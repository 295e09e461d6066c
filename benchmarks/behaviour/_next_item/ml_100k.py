"""MovieLens 100K as sequences: who met which film, in the order of time."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks._peer_environment import PeerEnvironment

# The data set lies in the wheel of RecBole, of which nothing is run.
PEERS = PeerEnvironment("next-item", "bench-next-item")
DATA = Path("recbole", "dataset_example", "ml-100k", "ml-100k.inter")


@dataclass(frozen=True)
class Sequences:
    """n ratings; those of one user lie together, oldest first, equal times as in the file.

    Attributes:
        user: int64 codes, shape (n,).
        item: int64 codes, shape (n,).
        rating: float64, shape (n,).
        seconds: int64, shape (n,), since 1970.
        items: how many there are in the catalogue.
    """

    user: NDArray[np.int64]
    item: NDArray[np.int64]
    rating: NDArray[np.float64]
    seconds: NDArray[np.int64]
    items: int

    @property
    def offsets(self) -> NDArray[np.int64]:
        """First rating of each user, and n, shape (users + 1,)."""
        return np.append(0, np.cumsum(np.bincount(self.user)))

    @property
    def from_end(self) -> NDArray[np.int64]:
        """How many ratings of the user come after each, shape (n,)."""
        return self.offsets[self.user + 1] - 1 - np.arange(len(self.user))

    def met(self, user: NDArray[np.int64], item: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether users met items, of the two codes' common shape."""
        key = user * self.items + item
        return (
            self._pairs[np.minimum(np.searchsorted(self._pairs, key), len(self._pairs) - 1)] == key
        )

    @cached_property
    def _pairs(self) -> NDArray[np.int64]:
        return np.sort(self.user * self.items + self.item)

    def where(self, kept: NDArray[np.bool_]) -> Sequences:
        """The ratings at which ``kept`` is true, shape (n,)."""
        parts = {k: getattr(self, k)[kept] for k in ("user", "item", "rating", "seconds")}
        return replace(self, **parts)


def read_ml_100k(users: int | None = None) -> Sequences:
    """All ratings, or those of the first users only; the catalogue is that of all."""
    with (PEERS.packages / DATA).open() as file:
        rows = [row[:4] for row in csv.reader(file, delimiter="\t")][1:]
    table = np.array(rows).astype(np.float64)
    user = np.unique(table[:, 0], return_inverse=True)[1]
    items, item = np.unique(table[:, 1], return_inverse=True)
    order = np.lexsort((table[:, 3], user))
    found = Sequences(
        user[order], item[order], table[order, 2], table[order, 3].astype(np.int64), len(items)
    )
    return found if users is None else found.where(found.user < users)
