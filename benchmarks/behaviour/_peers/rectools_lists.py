"""What RecTools reads and recommends; the scripts of its models import it from beside them."""

from __future__ import annotations

from typing import Any

import numpy as np


def table_of(found: Any) -> Any:
    """One row a rating."""
    import pandas as pd

    at = pd.to_datetime(found["at"], unit="s")
    return pd.DataFrame(
        {"user_id": found["user"], "item_id": found["item"], "weight": 1.0, "datetime": at}
    )


def lists_of(model: Any, data: Any, k: int) -> dict[int, list[int]]:
    """The first k items of each user that the user had not met, best first."""
    users = data.user_id_map.external_ids
    told = model.recommend(users=users, dataset=data, k=k, filter_viewed=True)
    return {int(u): own["item_id"].astype(int).tolist() for u, own in told.groupby("user_id")}


def gain(lists: dict[int, list[int]], target: Any) -> float:
    """Mean NDCG of one wanted item a user."""
    places = [own.index(target[u]) for u, own in lists.items() if target[u] in own]
    return float((1 / np.log2(np.array(places) + 2.0)).sum()) / len(lists)
