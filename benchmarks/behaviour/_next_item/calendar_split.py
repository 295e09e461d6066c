"""What users meet after a day of the calendar: gains, gains by rarity, and coverage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.behaviour._next_item.ml_100k import Sequences

Floats = NDArray[np.float64]
# Share of the ratings that lie before the day.
_BEFORE = 0.9


@dataclass(frozen=True)
class Calendar:
    """Who is asked on the day, and what came after it.

    Attributes:
        known: all sequences.
        day: seconds since 1970; what came before is told.
        place: int64, the first rating after the day of each user who also rated before it.
    """

    known: Sequences
    day: int
    place: NDArray[np.int64]

    @classmethod
    def of(cls, known: Sequences) -> Calendar:
        """The day before which nine tenths of the ratings lie."""
        day = int(np.quantile(known.seconds, _BEFORE))
        after = known.seconds >= day
        before = np.append(False, ~after[:-1]) & (np.diff(known.user, prepend=-1) == 0)
        return cls(known, day, np.flatnonzero(after & before))

    @property
    def told(self) -> NDArray[np.bool_]:
        """What came before the day, shape (n,)."""
        return self.known.seconds < self.day

    def measured(self, scores: Floats, k: int) -> dict[str, float]:
        """Mean NDCG over the users, the same by rarity, and the share of items in a list.

        Of items that a user had not met before. By rarity an item counts 1 over how often it was
        met before the day, plus 1: what popularity brings by itself counts little (self-normalised
        inverse popularity; Yang et al., "Unbiased offline recommender evaluation for
        missing-not-at-random implicit feedback", RecSys 2018).

        Args:
            scores: of all items for each user that is asked, shape (users, items).
            k: length of a list.
        """
        known, told = self.known, self.told
        scores, users = scores.copy(), known.user[self.place]
        row = np.full(int(known.user.max()) + 1, -1)
        row[users] = np.arange(len(users))
        seen = told & (row[known.user] >= 0)
        scores[row[known.user[seen]], known.item[seen]] = -np.inf
        wanted = np.zeros(scores.shape, np.bool_)
        later = ~told & (row[known.user] >= 0)
        wanted[row[known.user[later]], known.item[later]] = True
        # Stable: equal scores by the order of the catalogue.
        lists = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        hit = np.take_along_axis(wanted, lists, axis=1)
        met = np.bincount(known.item[told], minlength=known.items)
        rarity = np.asarray(1.0 / (met + 1.0), np.float64)
        discount = 1 / np.log2(np.arange(k) + 2)
        found = {}
        for name, gain in (("NDCG", np.ones(known.items)), ("debiased NDCG", rarity)):
            ideal = -np.sort(-np.where(wanted, gain, 0.0), axis=1)[:, :k] @ discount
            found[name] = float(((hit * gain[lists]) @ discount / ideal).mean())
        return {**found, "coverage": len(np.unique(lists)) / known.items}


def counted_before(calendar: Calendar, seconds: int | None) -> Floats:
    """How often each item was met in so many seconds before the day, None: ever, for each user."""
    known, told = calendar.known, calendar.told
    if seconds is not None:
        told = told & (known.seconds >= calendar.day - seconds)
    counts = np.bincount(known.item[told], minlength=known.items).astype(np.float64)
    return np.tile(counts, (len(calendar.place), 1))
