"""Rewards that are known for every candidate: functions of the item and of the list above it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.catalog import Catalog
from mrlm.bandit_log.decisions import Decisions
from mrlm.bandit_log.embedding_novelty import embedding_novelty
from mrlm.bandit_log.objectives import EMBEDDING, Objective
from mrlm.bandit_log.ragged import gather


def known_rewards(decisions: Decisions, objective: Objective) -> NDArray[np.float64]:
    """Reward of every candidate under an ``item`` or ``list`` objective, float64, shape (N,).

    Raises:
        ValueError: the objective comes from feedback and is unknown for items not shown, or it
            needs an embedding that the catalogue does not have.
    """
    codes = decisions.candidates.values.astype(np.int64)
    if objective.source == "item":
        return item_values(decisions.catalog, objective)[codes]
    if objective.source == "list":
        by_vector = objective.attribute == EMBEDDING
        return embedding_novelty(decisions) if by_vector else category_novelty(decisions)
    raise ValueError(f"objective {objective.name!r} comes from feedback: only shown items have it")


def item_values(catalog: Catalog, objective: Objective) -> NDArray[np.float64]:
    """The objective of every item, in [0, 1], float64, shape (items,); no attribute gives 0.

    Raises:
        ValueError: no item has the attribute.
    """
    if objective.attribute not in catalog.attributes:
        raise ValueError(
            f"objective {objective.name!r} needs the item attribute {objective.attribute!r}; "
            f"the catalogue has {sorted(catalog.attributes)}"
        )
    x = catalog.attributes[objective.attribute]
    low, high = objective.low, objective.high
    if objective.log:
        x, low, high = np.log1p(np.maximum(x, 0.0)), float(np.log1p(low)), float(np.log1p(high))
    return np.nan_to_num(np.clip((x - low) / (high - low), 0.0, 1.0), nan=0.0)


def category_novelty(decisions: Decisions) -> NDArray[np.float64]:
    """Share of a candidate's categories that no item above has, float64, shape (N,).

    At the top of the list it is 1 for an item with categories; an item with none gives 0.
    """
    categories = decisions.catalog.categories
    if len(decisions.above.values) == 0:
        many = np.diff(categories.offsets)[decisions.candidates.values.astype(np.int64)]
        return (many > 0).astype(np.float64)
    width = max(len(decisions.catalog.category_names), 1)
    above_flat, above_offsets = gather(categories.offsets, decisions.above.values.astype(np.int64))
    row_of_above = np.repeat(decisions.above.row, np.diff(above_offsets))
    seen = np.unique(row_of_above * width + categories.values[above_flat].astype(np.int64))
    flat, offsets = gather(categories.offsets, decisions.candidates.values.astype(np.int64))
    row = np.repeat(decisions.candidates.row, np.diff(offsets))
    new = ~np.isin(row * width + categories.values[flat].astype(np.int64), seen)
    count = np.diff(offsets)
    candidate = np.repeat(np.arange(len(count)), count)
    fresh = np.bincount(candidate, weights=new.astype(np.float64), minlength=len(count))
    return np.divide(fresh, count, out=np.zeros(len(count)), where=count > 0)
