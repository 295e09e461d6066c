"""An item's mean reward, drawn to the mean of all: the best that one number an item can say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.learners.baselines.item_scores import ItemScores
from mrlm.learners.baselines.item_sums import ItemSums
from mrlm.learners.baselines.shown_items import shown_items


def fit_item_mean(log: BanditLog, objective: str, whole: ItemSums | None = None) -> ItemScores:
    """Credibility-weighted mean reward of an item, (sum + k · overall) / (rows + k).

    An item that was shown twice and liked twice is not better than one that was liked ninety times
    of a hundred. How many rows k of the overall mean are added is no setting: it is the variance
    within items over the variance between them, estimated from the log. Source: Bühlmann and
    Straub, Glaubwürdigkeit für Schadensätze, 1970. An item that was never shown has the overall
    mean, and so has every item where items do not differ by more than chance.
    """
    if whole is not None:
        return _of_sums(whole)
    _, code, reward = shown_items(log, objective)
    seen, item, rows = np.unique(code, return_inverse=True, return_counts=True)
    overall = float(reward.mean()) if len(reward) else 0.0
    total = np.bincount(item, weights=reward - overall, minlength=len(seen)).astype(np.float64)
    apart = float(((reward - overall - (total / rows)[item]) ** 2).sum())
    value = overall + _credibility(rows, total, apart) * total / np.maximum(rows, 1)
    return ItemScores("item_mean", log.decisions.catalog.item_id[seen], value, overall)


def _of_sums(whole: ItemSums) -> ItemScores:
    """The same from sums over nights."""
    seen, (rows, total, square) = whole.over()
    overall = float(total.sum() / max(rows.sum(), 1.0))
    apart = float((square - total**2 / rows).sum())
    centred = total - rows * overall
    value = overall + _credibility(rows, centred, apart) * centred / rows
    return ItemScores("item_mean", whole.item_id[seen], value, overall)


def _credibility(
    rows: NDArray[np.integer] | NDArray[np.float64], total: NDArray[np.float64], apart: float
) -> NDArray[np.float64]:
    """Share of each item's own mean in its value, rows / (rows + k), in [0, 1].

    Args:
        rows: of each item.
        total: of each item's rewards, less the overall mean.
        apart: squared distances of the rewards from their items' means, summed.
    """
    n, items = int(rows.sum()), len(rows)
    if n <= items or items < 2:
        return np.zeros(items)
    within = apart / (n - items)
    spread = float((total**2 / rows).sum()) - (items - 1) * within
    between = spread / float(n - (rows.astype(np.float64) ** 2).sum() / n)
    if between <= 0.0:
        return np.zeros(items)
    share: NDArray[np.float64] = rows / (rows + within / between)
    return share
