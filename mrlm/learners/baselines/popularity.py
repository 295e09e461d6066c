"""What an item collected, over all nights and over the newest: the many follow the many."""

from __future__ import annotations

import math

import numpy as np

from mrlm.bandit_log import BanditLog
from mrlm.learners.baselines.item_scores import ItemScores
from mrlm.learners.baselines.item_sums import ItemSums
from mrlm.learners.baselines.shown_items import shown_items

# A week, where the log is long: tastes have their days of the week. Of a short log its newer half.
_MOST_NIGHTS, _SHARE = 7, 0.5


def fit_popularity(log: BanditLog, objective: str, whole: ItemSums | None = None) -> ItemScores:
    """Sum of an item's rewards; an item that was never shown has collected nothing, 0."""
    if whole is not None:
        return _of_sums("popularity", whole)
    return _collected("popularity", log, objective)


def fit_recent_popularity(
    log: BanditLog, objective: str, whole: ItemSums | None = None
) -> ItemScores:
    """The same over the newer half of the nights with known rewards, at most seven of them."""
    if whole is not None:
        return _of_sums("recent_popularity", whole, _newest(len(whole.nights)))
    row, _, _ = shown_items(log, objective)
    nights = np.unique(log.night[row])
    newest = log.where(np.isin(log.night, nights[len(nights) - _newest(len(nights)) :]))
    return _collected("recent_popularity", newest, objective)


def _newest(nights: int) -> int:
    return min(_MOST_NIGHTS, math.ceil(_SHARE * nights))


def _of_sums(name: str, whole: ItemSums, newest: int | None = None) -> ItemScores:
    seen, (_, total, _) = whole.over(newest)
    return ItemScores(name, whole.item_id[seen], total, elsewhere=0.0)


def _collected(name: str, log: BanditLog, objective: str) -> ItemScores:
    _, code, reward = shown_items(log, objective)
    seen, item = np.unique(code, return_inverse=True)
    total = np.bincount(item, weights=reward, minlength=len(seen)).astype(np.float64)
    return ItemScores(name, log.decisions.catalog.item_id[seen], total, elsewhere=0.0)
