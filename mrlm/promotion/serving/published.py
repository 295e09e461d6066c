"""Lists for every user of a night, as rows that can come back as a log of impressions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from mrlm.bandit_log import Decisions
from mrlm.policies.contract import Policy
from mrlm.policies.quotas.quotas import Quotas
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
    quotas: Quotas | None = None,
) -> Iterator[pa.Table]:
    """One row a user and position, in tables of ``PUBLISHED_SCHEMA``, one a block of requests.

    A request is named after the night and its user, and what it gets does not depend on the block.
    Where there are quotas all requests are one block.

    Args:
        policy: gives the probabilities.
        requests: one a user.
        night: ISO date, of the names of requests.
        policy_id: of all rows.
        k: longest list.
        seed: of the draws.
        quotas: slots of all lists together that items may take, or have to; None: there are none.

    Raises:
        ValueError: k is below 1.
    """
    blocks = (part for _, part in requests.blocks()) if quotas is None else iter([requests])
    for part in blocks:
        names = [f"{night}/{user}" for user in part.user]
        drawn = recommend(policy, part, names, k, seed, quotas)
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
