"""What a logger that is unknown may have looked at, for an estimate of its propensities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions
from mrlm.embeddings.user_state import Entries, Kernels, attention_features
from mrlm.policies.loggers.item_softmax import attribute_columns

# An entry that is half as similar counts e^-2.5, a twelfth.
_TEMPERATURE = 0.2


def logger_features(decisions: Decisions) -> NDArray[np.float64]:
    """Features of every candidate in its context, float64, shape (N, d).

    The item's attributes and, where the catalogue has embeddings, how the user's history speaks
    for the candidate: the known values of similar items, and how many are similar. The order of
    the candidates is none: loggers write it after they chose.
    """
    catalog = decisions.catalog
    attributes: NDArray[np.float64] = attribute_columns(catalog)[decisions.candidates.values]
    if catalog.embedding is None:
        return attributes
    entries = Entries.of(decisions)
    if len(entries.values) == 0:
        return attributes
    length = np.linalg.norm(catalog.embedding, axis=1, keepdims=True)
    unit = catalog.embedding / np.where(length > 0, length, 1)
    kernel = Kernels(unit.astype(np.float32), (_TEMPERATURE,), (1.0,))
    spoken = attention_features(decisions.candidates, entries, [kernel])
    return np.concatenate([attributes, spoken.astype(np.float64)], axis=1)
