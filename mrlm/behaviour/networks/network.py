"""The network over pair features: shared by the reward model and the learners."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mrlm.behaviour.features.pair_features import PairFeatures
from mrlm.behaviour.networks.threads import one_thread

_ROWS = 65536
# A dense feature farther from its mean than this many deviations counts as that far.
CLIP = 5.0


@dataclass(frozen=True)
class Pairs:
    """b pairs of a user and an item; vectors that several pairs share are there once.

    Attributes:
        dense: shape (b, dense).
        items: shape (i, vector), item vectors.
        item: int64, shape (b,), rows of ``items``.
        users: shape (u, user vector), user vectors.
        user: int64, shape (b,), rows of ``users``.
    """

    dense: torch.Tensor
    items: torch.Tensor
    item: torch.Tensor
    users: torch.Tensor
    user: torch.Tensor


class PairNetwork(nn.Module):  # type: ignore[misc]
    """Dense features, projected item vector, and its product with the projected user vector.

    Two hidden layers, one linear output an objective. Inputs are standardised inside, so a saved
    network needs nothing else.
    """

    def __init__(
        self,
        *,
        dense: int,
        vector: int,
        user_vector: int,
        projection: int,
        hidden: int,
        outputs: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.item = nn.Linear(vector, projection, bias=False)
        self.user = nn.Linear(user_vector, projection, bias=False)
        self.body = nn.Sequential(
            nn.Linear(dense + 2 * projection, hidden),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Dropout(dropout),
        )
        self.head = nn.Linear(hidden, outputs)
        self.register_buffer("centre", torch.zeros(dense))
        self.register_buffer("scale", torch.ones(dense))

    def forward(self, pairs: Pairs) -> torch.Tensor:
        """Outputs of b pairs, shape (b, outputs)."""
        standard = ((pairs.dense - self.centre) / self.scale).clamp(-CLIP, CLIP)
        projected = self.item(pairs.items).index_select(0, pairs.item)
        product = projected * self.user(pairs.users).index_select(0, pairs.user)
        return self.head(self.body(torch.cat([standard, projected, product], dim=1)))

    def standardise_on(self, dense: NDArray[np.float32]) -> None:
        """Take centre and scale of the dense features from these rows."""
        scale = dense.std(axis=0, dtype=np.float64)
        self.centre.copy_(torch.from_numpy(dense.mean(axis=0, dtype=np.float64)))
        self.scale.copy_(torch.from_numpy(np.where(scale > 1e-6, scale, 1.0)))


def seeded_network(
    seed: int,
    *,
    dense: int,
    vector: int,
    user_vector: int,
    projection: int,
    hidden: int,
    outputs: int,
    dropout: float,
) -> PairNetwork:
    """A network whose first weights depend on ``seed`` alone; global random state is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PairNetwork(
            dense=dense,
            vector=vector,
            user_vector=user_vector,
            projection=projection,
            hidden=hidden,
            outputs=outputs,
            dropout=dropout,
        )


class Sizes(Protocol):
    """Settings of a network, whatever else they hold."""

    @property
    def projection(self) -> int:
        """Width of projected vectors."""

    @property
    def hidden(self) -> int:
        """Hidden units."""

    @property
    def dropout(self) -> float:
        """Share of hidden units that training leaves out."""


def network_for(features: PairFeatures, sizes: Sizes, outputs: int, seed: int) -> PairNetwork:
    """A network of so many outputs that reads these features; see ``seeded_network``."""
    return seeded_network(
        seed,
        dense=features.dense.shape[1],
        vector=features.item_vectors.shape[1],
        user_vector=features.user_vectors.shape[1],
        projection=sizes.projection,
        hidden=sizes.hidden,
        outputs=outputs,
        dropout=sizes.dropout,
    )


class PairTensors:
    """Pair features as tensors, from which batches of rows are taken."""

    def __init__(self, features: PairFeatures) -> None:
        self._dense = torch.from_numpy(np.ascontiguousarray(features.dense))
        self._item = torch.from_numpy(features.item)
        self._row = torch.from_numpy(features.row)
        self._item_vectors = torch.from_numpy(features.item_vectors)
        self._user_vectors = torch.from_numpy(features.user_vectors)

    def __len__(self) -> int:
        return len(self._dense)

    @property
    def precision(self) -> torch.dtype:
        """Of the features."""
        return self._dense.dtype

    def batch(self, index: torch.Tensor) -> Pairs:
        """The rows at ``index``, as a network reads them."""
        items, item = torch.unique(self._item[index], return_inverse=True)
        users, user = torch.unique(self._row[index], return_inverse=True)
        return Pairs(
            dense=self._dense[index],
            items=self._item_vectors[items],
            item=item,
            users=self._user_vectors[users],
            user=user,
        )


def evaluate(network: nn.Module, features: PairFeatures, outputs: int) -> NDArray[np.float64]:
    """Outputs of every row, without dropout, float64, shape (N, outputs).

    Computed in the precision of the features; the network keeps its own. Several threads may
    evaluate one network at a time. Where one network is asked often, give it the precision of the
    features: else each call copies it.
    """
    tensors = PairTensors(features)
    # To tell every layer takes longer than a request's few rows do.
    if network.training:
        network.eval()
    own = network
    if next(network.parameters()).dtype != tensors.precision:
        # A copy of its own: another thread may be reading the network's weights as they are.
        own = copy.deepcopy(network).to(tensors.precision)
    out = np.zeros((len(tensors), outputs))
    with one_thread(), torch.inference_mode():
        for start in range(0, len(tensors), _ROWS):
            stop = min(start + _ROWS, len(tensors))
            batch = tensors.batch(torch.arange(start, stop))
            out[start:stop] = own(batch).numpy()
    return out


def network_from_state(state: Mapping[str, torch.Tensor]) -> PairNetwork:
    """The network that gave this ``state_dict``; its shape is read from the tensors.

    Dropout is off: a network that was stored is not trained further.
    """
    hidden, width = state["body.0.weight"].shape
    projection, vector = state["item.weight"].shape
    network = PairNetwork(
        dense=width - 2 * projection,
        vector=vector,
        user_vector=state["user.weight"].shape[1],
        projection=projection,
        hidden=hidden,
        outputs=state["head.weight"].shape[0],
        dropout=0.0,
    )
    network.load_state_dict(dict(state))
    network.eval()
    return network
