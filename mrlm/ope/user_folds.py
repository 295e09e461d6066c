"""Folds of users for cross-fitting and for choice: a hash decides, never order or shard."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.intervals.draws import mixed, user_key
from mrlm.ope.state.users import group


def user_folds(cluster: NDArray[Any], folds: int, salt: int = 0) -> NDArray[np.int64]:
    """Fold of each round's user, int64, shape (n,), in [0, folds).

    Args:
        cluster: int64 or str, shape (n,), users.
        folds: number of folds; a log of few users may leave one empty.
        salt: another one splits the users another way.
    """
    found, code = group(cluster)
    key = mixed(user_key(found) ^ mixed(np.full(1, salt, np.uint64)))
    return (key % np.uint64(folds)).astype(np.int64)[code]
