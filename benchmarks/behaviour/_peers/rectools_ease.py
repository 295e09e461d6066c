"""RecTools' EASE: run by the peers' own Python.

``python rectools_ease.py FILE.npz`` prints as JSON what it recommends to each user, best first, its
penalty, and processor seconds. EASE is a linear model of what is met together (Steck,
"Embarrassingly shallow autoencoders for sparse data", WWW 2019).
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from typing import Any

import numpy as np

from benchmarks.behaviour._peers.rectools_lists import gain, lists_of, table_of

_PENALTIES = (50.0, 100.0, 200.0, 500.0)


def recommended(found: Any) -> dict[str, Any]:
    """The penalty by the validation item of each user; then the last one's list."""
    from rectools.dataset import Dataset, Interactions
    from rectools.models import EASEModel

    warnings.filterwarnings("ignore")
    table = table_of(found)
    data = Dataset.construct(table[found["left"] > 1])
    target = table[found["left"] == 1].set_index("user_id")["item_id"]
    start, tried = time.process_time(), {}
    for penalty in _PENALTIES:
        model = EASEModel(regularization=penalty, recommend_n_threads=1)
        model.fit(data)
        tried[gain(lists_of(model, data, 10), target)] = model
    seconds = (time.process_time() - start) / len(_PENALTIES)
    best = tried[max(tried)]
    # The model knows items by their rows, so rows have to stay; others it cannot recommend.
    kept = (found["left"] > 0) & table["item_id"].isin(data.item_id_map.external_ids)
    maps = data.user_id_map, data.item_id_map
    before = Dataset(*maps, Interactions.from_raw(table[kept], *maps))
    return {
        "lists": lists_of(best, before, 10),
        "penalty": best.regularization,
        "seconds": seconds,
    }


if __name__ == "__main__":
    print(json.dumps(recommended(np.load(sys.argv[1]))))
