"""Lists for every user of a night, as rows that can come back as a log of impressions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mrlm.bandit_log import Catalog, Decisions
from mrlm.policies.contract import Policy
from mrlm.promotion.serving.serve import positions, recommend
from mrlm.promotion.serving.states import lists

PUBLISHED_SCHEMA = pa.schema(
    [
        pa.field("user", pa.string()),
        pa.field("position", pa.int64()),
        pa.field("item_id", pa.string()),
        pa.field("propensity", pa.float64()),
        pa.field("policy_id", pa.string()),
        pa.field("request_id", pa.string()),
        pa.field("candidates", pa.list_(pa.string())),
        pa.field("candidate_propensities", pa.list_(pa.float64())),
    ]
)


def published_lists(
    policy: Policy,
    requests: Decisions,
    *,
    night: str,
    policy_id: str,
    k: int,
    seed: int,
    capacity: str = "",
) -> Iterator[pa.Table]:
    """One row a user and position, in tables of ``PUBLISHED_SCHEMA``, one a block of requests.

    A request is named after the night and its user, and what it gets does not depend on the block.
    Where items have a capacity all requests are one block.

    Args:
        policy: gives the probabilities.
        requests: one a user.
        night: ISO date, of the names of requests.
        policy_id: of all rows.
        k: longest list.
        seed: of the draws.
        capacity: attribute of items with the slots that all lists together may give to each; an
            item without it, or all where it is empty, may take any number.

    Raises:
        ValueError: k is below 1, or no item has the attribute.
    """
    room = _room(requests.catalog, capacity) if capacity else None
    blocks = (part for _, part in requests.blocks()) if room is None else iter([requests])
    for part in blocks:
        names = [f"{night}/{user}" for user in part.user]
        drawn = recommend(policy, part, names, k, seed, room)
        item_id, lengths = part.catalog.item_id, drawn.items.lengths
        many = len(drawn.items.values)
        yield pa.table(
            [
                pa.array(np.repeat(part.user, lengths), pa.string()),
                positions(drawn.items),
                pa.array(item_id[drawn.items.values], pa.string()),
                drawn.propensities.values,
                pa.array([policy_id] * many, pa.string()),
                pa.array(np.repeat(drawn.request_id, lengths), pa.string()),
                lists(drawn.candidates, item_id),
                lists(drawn.candidate_propensities),
            ],
            schema=PUBLISHED_SCHEMA,
        )


def _room(catalog: Catalog, attribute: str) -> NDArray[np.float64]:
    """Whole slots that each item may take, shape (items,); infinite where it does not say."""
    if attribute not in catalog.attributes:
        raise ValueError(
            f"publishing.capacity needs the item attribute {attribute!r}; the catalogue has "
            f"{sorted(catalog.attributes)}"
        )
    slots = np.floor(np.maximum(catalog.attributes[attribute], 0.0))
    return np.where(np.isnan(slots), np.inf, slots)
