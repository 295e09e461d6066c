"""RecTools' SASRec and eSASRec: run by the peers' own Python.

``python rectools_sasrec.py FILE.npz`` prints as JSON what it recommends to each user, best first,
how many epochs it was trained for, how many were tried, and processor seconds of these. eSASRec
(Tikhonovich et al., "eSASRec: enhancing transformer-based recommendations in a modular fashion",
RecSys 2025) has LiGR layers and a softmax of drawn negatives in place of the full one.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from typing import Any

import numpy as np

from benchmarks.behaviour._peers.rectools_lists import gain, lists_of, table_of


def recommended(found: Any) -> dict[str, Any]:
    """Epochs by the validation item of each user, the next to last; then the last one's list."""
    import torch
    from pytorch_lightning import Trainer, seed_everything
    from rectools.dataset import Dataset
    from rectools.models import SASRecModel
    from rectools.models.nn.transformers.ligr import LiGRLayers

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    seed_everything(int(found["seed"]), verbose=False)
    table = table_of(found)
    train, before = table[found["left"] > 1], table[found["left"] > 0]
    target = table[found["left"] == 1].set_index("user_id")["item_id"]
    every, most = int(found["every"]), int(found["epochs"])
    enhanced = {
        "transformer_layers_type": LiGRLayers,
        "loss": "sampled_softmax",
        "n_negatives": int(found["negatives"]),
    }
    model = SASRecModel(
        n_blocks=2,
        n_heads=2,
        n_factors=int(found["width"]),
        session_max_len=int(found["length"]),
        get_trainer_func=lambda: Trainer(
            max_epochs=every,
            min_epochs=every,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        ),
        **(enhanced if found["enhanced"] else {}),
    )
    data = Dataset.construct(train)
    lists, best, seconds, epochs = {}, -1.0, 0.0, 0
    for epoch in range(every, most + 1, every):
        start = time.process_time()
        model.fit_partial(data, every, every)
        seconds += time.process_time() - start
        value = gain(lists_of(model, data, 10), target)
        if value > best:
            best, epochs, lists = value, epoch, lists_of(model, Dataset.construct(before), 10)
        elif epoch - epochs >= 2 * every:
            break
    return {"lists": lists, "epochs": epochs, "tried": epoch, "seconds": seconds}


if __name__ == "__main__":
    print(json.dumps(recommended(np.load(sys.argv[1]))))
