"""Items that the same users liked: item-to-item collaborative filtering."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from mrlm.bandit_log import BanditLog, Decisions
from mrlm.bandit_log.ragged import pieces, rows, segment_max, segment_sum
from mrlm.bandit_log.users import group
from mrlm.embeddings.user_state import Entries
from mrlm.learners.baselines.item_sums import ItemSums
from mrlm.learners.baselines.shown_items import shown_items
from mrlm.learners.baselines.stored_scores import read_scores, write_scores

NAME = "nearest_neighbours"

# Neighbours that are kept of each item.
_NEIGHBOURS = 200
# Added to the product of the norms: two items that one user liked are not yet alike.
_SHRINKAGE = 50.0
# Of a user's likes the newest: pairs grow with their square.
_MOST_LIKES = 200
# Pairs of items, or of a candidate and what it is compared with, that are looked at together: about
# 100 MiB.
_PAIRS = 1 << 22


@dataclass(frozen=True, eq=False)
class NearestNeighbours:
    """A candidate's similarity to what the user liked, summed over its nearest neighbours.

    Attributes:
        item_id: str objects, shape (k,), items that somebody liked.
        users: float64, shape (k,), how many did.
        offsets: int64, shape (k + 1,), of the neighbours of each of them.
        neighbour: int32, places in ``item_id``, ascending in each row.
        similarity: float64, in (0, 1], one a neighbour.
        liked_above: value of a history entry above which it counts as liked.
    """

    item_id: NDArray[np.object_]
    users: NDArray[np.float64]
    offsets: NDArray[np.int64]
    neighbour: NDArray[np.int32]
    similarity: NDArray[np.float64]
    liked_above: float

    @property
    def kind(self) -> str:
        """Which loader reads it back."""
        return NAME

    @property
    def columns(self) -> tuple[str, ...]:
        """The baseline's name."""
        return (NAME,)

    def score(self, decisions: Decisions) -> NDArray[np.float64]:
        """Sum of the similarities to liked entries of the history, float64, shape (N, 1).

        Where no candidate of a decision has a neighbour there, as for a new user, it is how many
        users liked the candidate.
        """
        items = len(self.item_id)
        place = np.full(len(decisions.catalog), items)
        code = decisions.catalog.codes(self.item_id)
        place[code[code >= 0]] = np.flatnonzero(code >= 0)
        # One empty row and column more, for items that have no neighbours.
        offsets = np.append(self.offsets, self.offsets[-1])
        shape = (items + 1, items + 1)
        near = csr_array((self.similarity, self.neighbour, offsets), shape=shape)
        out = np.zeros(len(decisions.candidates.values))
        cost = np.diff(decisions.offsets) * (decisions.until - decisions.since + _NEIGHBOURS)
        for start, stop in pieces(np.concatenate([[0], np.cumsum(cost)]), _PAIRS):
            part = decisions.take(np.arange(start, stop))
            liked = self._liked(part, place)[rows(part.offsets)]
            own = near[place[part.candidates.values]]
            where = slice(decisions.offsets[start], decisions.offsets[stop])
            out[where] = own.multiply(liked).sum(axis=1)
        alone = (segment_max(out, decisions.offsets) <= 0.0)[rows(decisions.offsets)]
        users = np.append(self.users, 0.0)[place[decisions.candidates.values]]
        return np.where(alone, users, out)[:, None]

    def _liked(self, decisions: Decisions, place: NDArray[np.int64]) -> Any:
        """Items that each user liked, 1 each, sparse, shape (n, items + 1)."""
        entries = Entries.of(decisions)
        history = entries.items
        # An entry whose value is not known is NaN, and so not above anything.
        liked = entries.values[:, 0] > self.liked_above
        many = segment_sum(liked.astype(np.float64), history.offsets).astype(np.int64)
        column = place[history.values[liked].astype(np.int64)]
        found = csr_array(
            (np.ones(len(column)), column, np.concatenate([[0], np.cumsum(many)])),
            shape=(len(history), len(self.item_id) + 1),
        )
        found.sum_duplicates()
        found.data[:] = 1.0
        return found

    def save(self, folder: Path) -> None:
        """Write ``scorer.json`` and ``scorer.safetensors`` into a folder."""
        tensors: dict[str, NDArray[Any]] = {
            "users": self.users,
            "offsets": self.offsets,
            "neighbour": self.neighbour,
            "similarity": self.similarity,
        }
        write_scores(folder, self.kind, self.item_id, tensors, liked_above=self.liked_above)


def load_nearest_neighbours(folder: Path) -> NearestNeighbours:
    """Read what ``NearestNeighbours.save`` wrote; scores are the same to the bit.

    Raises:
        ValueError: the folder holds a format of another version.
    """
    _, fields = read_scores(folder)
    return NearestNeighbours(**fields)


def fit_nearest_neighbours(
    log: BanditLog,
    objective: str,
    whole: ItemSums | None = None,
) -> NearestNeighbours:
    """Cosine of two items over the users who liked them, for each item's nearest neighbours.

    A user liked what brought more than the mean reward of the log, and an entry of the history is
    liked whose value is above the mean of all known ones in the histories: for rewards of 0 and 1
    those of 1. The cosine is ``both / (sqrt(users of one · users of the other) + shrinkage)``.
    Pairs of items are no sum an item: they are those of the log, however many decisions it lacks.
    Source: Sarwar et al., Item-based collaborative filtering recommendation algorithms, 2001; the
    shrinkage: Bell and Koren, 2007.
    """
    row, code, reward = shown_items(log, objective)
    liked = reward > reward.mean() if len(reward) else np.zeros(0, np.bool_)
    user, item = _newest(log, row[liked], code[liked])
    seen, item = np.unique(item, return_inverse=True)
    people = int(user.max()) + 1 if len(user) else 0
    likes = csr_array((np.ones(len(user)), (user, item)), shape=(people, len(seen)))
    likes.data[:] = 1.0
    offsets, neighbour, similarity = _neighbours(likes)
    value = log.decisions.histories.rewards[:, 0]
    known = value[np.isfinite(value)]
    return NearestNeighbours(
        item_id=log.decisions.catalog.item_id[seen],
        users=np.asarray(likes.sum(axis=0), np.float64),
        offsets=offsets,
        neighbour=neighbour,
        similarity=similarity,
        liked_above=float(known.mean(dtype=np.float64)) if len(known) else 0.0,
    )


def _newest(
    log: BanditLog, row: NDArray[np.int64], code: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """User and item of each user's newest likes."""
    if len(row) == 0:
        return row, code
    user = group(log.decisions.user[row])[1]
    order = np.lexsort((log.decisions.ts[row], user))
    user, code = user[order], code[order]
    last = np.searchsorted(user, user, side="right") - 1
    kept = last - np.arange(len(user)) < _MOST_LIKES
    return user[kept], code[kept]


def _neighbours(
    likes: Any,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    """Offsets, places and similarities of each item's neighbours.

    Args:
        likes: sparse, shape (users, items), 1 where a user liked an item.
    """
    by_item = likes.T.tocsr()
    norm = np.sqrt(np.diff(by_item.indptr).astype(np.float64))
    each = np.diff(likes.indptr).astype(np.int64)
    # What the product of an item's row costs: the likes of all users who liked it.
    cost = segment_sum(each[by_item.indices], by_item.indptr).astype(np.int64)
    found = [
        _nearest(by_item[start:stop] @ likes, start, norm)
        for start, stop in pieces(np.concatenate([[0], np.cumsum(cost)]), _PAIRS)
    ]
    many = np.concatenate([np.zeros(1, np.int64), *[n for n, _, _ in found]])
    neighbour = np.concatenate([np.zeros(0, np.int32), *[n for _, n, _ in found]])
    similarity = np.concatenate([np.zeros(0), *[s for _, _, s in found]])
    return np.cumsum(many), neighbour, similarity


def _nearest(
    both: Any, start: int, norm: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    """Of some items how many neighbours each has, which, and how alike.

    Args:
        both: sparse, shape (b, items), users who liked both.
        start: the first of the b items.
        norm: float64, shape (items,), of each item's column of likes.
    """
    pairs = both.tocoo()
    other = pairs.row + start != pairs.col
    row, column = pairs.row[other].astype(np.int64), pairs.col[other].astype(np.int64)
    similarity = pairs.data[other] / (norm[row + start] * norm[column] + _SHRINKAGE)
    # Of equally near ones the first by identifier, so that the same log gives the same neighbours.
    order = np.lexsort((column, -similarity, row))
    rank = np.arange(len(order)) - np.searchsorted(row[order], row[order])
    kept = np.sort(order[rank < _NEIGHBOURS])
    kept = kept[np.lexsort((column[kept], row[kept]))]
    many = np.bincount(row[kept], minlength=both.shape[0]).astype(np.int64)
    return many, column[kept].astype(np.int32), similarity[kept].astype(np.float64)
