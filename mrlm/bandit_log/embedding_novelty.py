"""How unlike the items above a candidate is, by the vectors of their texts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.decisions import Decisions

# Candidates that are compared at once: what their vectors take stays small.
_TOGETHER = 1 << 12


def embedding_novelty(decisions: Decisions) -> NDArray[np.float64]:
    """1 less the cosine to the most similar item above, in [0, 1], float64, shape (N,).

    The marginal gain of diversity in maximal marginal relevance (Carbonell and Goldstein, "The use
    of MMR, diversity-based reranking for reordering documents and producing summaries", SIGIR
    1998). Cosines below 0 count as 0. At the top of the list it is 1; an item without a vector
    gives 0, and makes none below it less new.

    Raises:
        ValueError: the catalogue has no embedding.
    """
    vectors, length = decisions.catalog.embedding, decisions.catalog.embedding_length
    if vectors is None:
        raise ValueError(
            "an objective of the list by attribute 'embedding' needs the catalogue's embedding: "
            "read the log with the catalogue of the stage embed"
        )
    item, above = decisions.candidates.values, decisions.above
    nearest = np.zeros(len(item))
    row = decisions.candidates.row
    for place in range(int(above.lengths.max(initial=0))):
        there = np.flatnonzero((above.lengths > place)[row])
        for start in range(0, len(there), _TOGETHER):
            some = there[start : start + _TOGETHER]
            one, other = item[some], above.values[above.offsets[row[some]] + place]
            product = np.einsum(
                "ij,ij->i", vectors[one].astype(np.float64), vectors[other].astype(np.float64)
            )
            lengths = length[one] * length[other]
            cosine = np.divide(product, lengths, out=np.zeros(len(some)), where=lengths > 0)
            nearest[some] = np.maximum(nearest[some], cosine)
    return np.where(length[item] > 0, np.clip(1.0 - nearest, 0.0, 1.0), 0.0)
