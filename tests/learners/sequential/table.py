"""Experience whose Q is a table, so that every target can be computed by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from mrlm.behaviour.features.pair_features import PairFeatures
from mrlm.behaviour.networks.network import Pairs
from mrlm.learners.sequential.experience import Experience
from mrlm.learners.sequential.transitions import Transitions


class Table(nn.Module):  # type: ignore[misc]
    """One output a candidate: its own number."""

    def __init__(self, values: Sequence[float]) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.tensor([float(v) for v in values])[:, None])

    def forward(self, pairs: Pairs) -> torch.Tensor:
        """Shape (b, 1)."""
        return (pairs.items @ self.values).index_select(0, pairs.item)


def table_experience(
    sizes: Sequence[int],
    action: Sequence[int],
    reward: Sequence[float],
    following: Sequence[int],
    truncated: Sequence[bool] | None = None,
) -> Experience:
    """Decisions with candidate sets of these sizes; every candidate is an item of its own."""
    total, n = int(sum(sizes)), len(sizes)
    features = PairFeatures(
        dense=np.zeros((total, 2), np.float32),
        item=np.arange(total),
        row=np.repeat(np.arange(n), sizes),
        item_vectors=np.eye(total, dtype=np.float32),
        user_vectors=np.zeros((n, total), np.float32),
    )
    cut = np.zeros(n, np.bool_) if truncated is None else np.array(truncated, np.bool_)
    after = np.array(following)
    return Experience.of(
        features,
        np.concatenate([[0], np.cumsum(sizes)]),
        np.array(action),
        np.array(reward, np.float64),
        Transitions(after, (after < 0) & ~cut, cut),
    )
