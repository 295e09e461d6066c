"""A catalogue with a long tail, whose items are what no text says of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.behaviour._worlds.long_log import CANDIDATES, TASTES, Codes, Floats, drawn_catalog
from mrlm.bandit_log import Catalog

ITEMS = 50_000
# An item's share of offers falls with its rank: 1 / (rank + _FLAT), Zipf and Mandelbrot.
_FLAT = 10.0
_HIDDEN, _OWN = 4, 0.7


@dataclass(frozen=True)
class TailWorld:
    """Clicks by an item's own worth, by taste for what its text says, and by taste for the rest.

    The same users come every night. Item codes are ranks.
    """

    @property
    def catalog(self) -> Catalog:
        """50,000 items whose first numbers are a part of what tastes are about."""
        return drawn_catalog(ITEMS)

    def users(self, night: int, first: int, many: int) -> tuple[NDArray[np.object_], Floats]:
        """See ``World``; a taste is for texts, then for what is hidden."""
        rng = np.random.default_rng([first, 1])
        names = np.array([f"u{i}" for i in range(first, first + many)], object)
        return names, rng.standard_normal((many, TASTES + _HIDDEN)) / np.sqrt(TASTES)

    def offered(self, rng: np.random.Generator, n: int) -> Codes:
        """See ``World``: ranks by the share of offers; where one comes twice, the next free one."""
        found = np.sort(self.met(rng, n * CANDIDATES).reshape(n, CANDIDATES), axis=1)
        for j in range(1, CANDIDATES):
            found[:, j] = np.maximum(found[:, j], found[:, j - 1] + 1)
        found[:, -1] = np.minimum(found[:, -1], ITEMS - 1)
        for j in range(CANDIDATES - 2, -1, -1):
            found[:, j] = np.minimum(found[:, j], found[:, j + 1] - 1)
        return found

    def met(self, rng: np.random.Generator, n: int) -> Codes:
        """See ``World``."""
        rank = _FLAT * (np.exp(rng.random(n) * np.log((_FLAT + ITEMS) / _FLAT)) - 1)
        return np.minimum(rank.astype(np.int64), ITEMS - 1)

    def logit(self, taste: Floats, item: Codes) -> Floats:
        """See ``World``."""
        embedding = self.catalog.embedding
        assert embedding is not None
        worth, hidden = self._items
        found = (taste[:, :TASTES] * embedding[item, :TASTES]).sum(axis=1)
        found += (taste[:, TASTES:] * hidden[item]).sum(axis=1)
        return np.asarray(found + worth[item] - 1.5, np.float64)

    @cached_property
    def _items(self) -> tuple[Floats, Floats]:
        rng = np.random.default_rng(2)
        return _OWN * rng.standard_normal(ITEMS), rng.standard_normal((ITEMS, _HIDDEN))
