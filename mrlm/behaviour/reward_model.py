"""The reward model: what this user will do with each candidate, one head an objective."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load, save_file

from mrlm.bandit_log import Catalog, Decisions
from mrlm.bandit_log.user_folds import crc, user_folds
from mrlm.behaviour.calibration import Calibration
from mrlm.behaviour.features import PairFeatures, pair_features
from mrlm.behaviour.last_call import LastCall
from mrlm.behaviour.network import PairNetwork, evaluate, in_float64, network_from_state
from mrlm.behaviour.space import FeatureSpace, ItemTable, item_table
from mrlm.behaviour.statistics import ItemStatistics

UNCERTAINTY = "uncertainty"
KIND = "reward_model"
# Format 1 reads one reward of the history, and has no evidence of what was ignored.
_FORMAT, _FORMATS = 2, (1, 2)


@dataclass(frozen=True)
class FoldModel:
    """What was learned without the users of one fold."""

    network: PairNetwork
    statistics: ItemStatistics

    def outputs(self, features: PairFeatures, table: NDArray[np.float32]) -> NDArray[np.float64]:
        """Raw outputs of every candidate; ``table`` holds this fold's statistics by item code."""
        whole = features.with_columns(table[features.item])
        return evaluate(self._exact, whole, self.network.head.out_features)

    @cached_property
    def _exact(self) -> PairNetwork:
        return in_float64(self.network)


@dataclass(frozen=True)
class _Items:
    """A catalogue as the model reads it: features of items, and each fold's statistics of them."""

    features: ItemTable
    statistics: list[NDArray[np.float32]]
    mean: NDArray[np.float64]


# Models that one process reads again and again: tonight's, and those inside the champions.
_SHARED = 8


@dataclass(frozen=True, eq=False)
class RewardModel:
    """A cross-fitted ensemble: fold model k was fitted without the users of fold k.

    What was encoded last is kept while its decisions live: the learned scores of a night read the
    same encoding. So is what was read of the last catalogue: a request costs what it asks for, not
    what there is.

    Attributes:
        heads: the feedback objectives, in the order of the log.
        north_star: the head whose spread over the ensemble is the uncertainty.
        space: fitted scales of the features.
        members: one fold model a fold.
        calibration: one a head, fitted on out-of-fold outputs: brings outputs to reward units.
    """

    heads: tuple[str, ...]
    north_star: str
    space: FeatureSpace
    members: tuple[FoldModel, ...]
    calibration: tuple[Calibration, ...]
    _encoded: LastCall[Decisions, tuple[PairFeatures, NDArray[np.float64]]] = field(
        default_factory=LastCall, init=False, repr=False
    )
    _items: LastCall[Catalog, _Items] = field(default_factory=LastCall, init=False, repr=False)

    @property
    def kind(self) -> str:
        """Which loader reads it back."""
        return KIND

    @property
    def columns(self) -> tuple[str, ...]:
        """The heads, then the uncertainty."""
        return (*self.heads, UNCERTAINTY)

    def score(self, decisions: Decisions) -> NDArray[np.float64]:
        """Expected reward of each head, in its unit, and the uncertainty, float64, (N, heads + 1).

        The mean over the fold models; the uncertainty is their standard deviation for the north
        star.
        """
        out = np.zeros((len(decisions.candidates.values), len(self.columns)))
        for place, part in decisions.blocks():
            out[place] = self.encode(part)[1]
        return out

    def encode(self, decisions: Decisions) -> tuple[PairFeatures, NDArray[np.float64]]:
        """Pair features with item statistics, the folds' mean, and ``score``; all at once."""
        return self._encoded.of(decisions, self._encode)

    def _encode(self, decisions: Decisions) -> tuple[PairFeatures, NDArray[np.float64]]:
        items = self._items.of(decisions.catalog, self._read_items)
        features = pair_features(decisions, self.space, items.features, np.float64)
        heads = np.stack(
            [
                self._calibrated(m.outputs(features, t))
                for m, t in zip(self.members, items.statistics, strict=True)
            ]
        )
        spread = heads[:, :, self.heads.index(self.north_star)].std(axis=0)
        values = np.concatenate([heads.mean(axis=0), spread[:, None]], axis=1)
        return features.with_columns(items.mean[features.item]), values

    def _read_items(self, catalog: Catalog) -> _Items:
        tables = [m.statistics.table(catalog) for m in self.members]
        mean = np.stack(tables).mean(axis=0, dtype=np.float64)
        return _Items(item_table(self.space, catalog, np.float64), tables, mean)

    def score_cross_fitted(self, decisions: Decisions) -> NDArray[np.float64]:
        """Expected reward by the one fold model that never saw the row's user, (N, heads).

        For learning on the fit nights. There is no uncertainty column: it needs the ensemble.
        """
        out = np.zeros((len(decisions.candidates.values), len(self.heads)))
        for place, part in decisions.blocks():
            out[place] = self.encode_cross_fitted(part)[1]
        return out

    def encode_cross_fitted(self, decisions: Decisions) -> tuple[PairFeatures, NDArray[np.float64]]:
        """``encode`` by the fold model that never saw the row's user; values (N, heads)."""
        features = pair_features(decisions, self.space)
        tables = [m.statistics.table(decisions.catalog) for m in self.members]
        fold = user_folds(decisions.user, len(self.members), crc())[features.row]
        whole = features.with_columns(np.stack(tables)[fold, features.item])
        out = np.zeros((len(whole.dense), len(self.heads)))
        for k, member in enumerate(self.members):
            own = np.flatnonzero(fold == k)
            raw = evaluate(member.network, whole.take(own), len(self.heads))
            out[own] = self._calibrated(raw)
        return whole, out

    def save(self, folder: Path) -> None:
        """Write ``model.json`` and ``model.safetensors`` into an existing folder."""
        arrays: dict[str, NDArray[np.generic]] = dict(self.space.arrays())
        for k, member in enumerate(self.members):
            for name, tensor in member.network.state_dict().items():
                arrays[f"{k}.network.{name}"] = tensor.detach().numpy()
            arrays[f"{k}.statistics"] = member.statistics.values
        contiguous = {n: np.ascontiguousarray(a) for n, a in arrays.items()}
        save_file(contiguous, folder / "model.safetensors")
        data = {
            "kind": KIND,
            "format": _FORMAT,
            "heads": list(self.heads),
            "north_star": self.north_star,
            "space": self.space.describe(),
            "calibration": [asdict(c) for c in self.calibration],
            "statistics": [m.statistics.item_id.tolist() for m in self.members],
        }
        (folder / "model.json").write_text(json.dumps(data, sort_keys=True))

    def _calibrated(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        heads = [c(outputs[:, j]) for j, c in enumerate(self.calibration)]
        return np.stack(heads, axis=1)


def load_reward_model(folder: Path) -> RewardModel:
    """Read what ``RewardModel.save`` wrote; scores are the same to the bit.

    The same content is the same object, wherever it is read from.

    Raises:
        ValueError: the folder holds something else, or a format of another version.
    """
    description = (folder / "model.json").read_bytes()
    data = json.loads(description)
    if data.get("kind") != KIND or data.get("format") not in _FORMATS:
        raise ValueError(
            f"{folder}: expected a {KIND} of format {_FORMAT}, found {data.get('kind')!r} of "
            f"format {data.get('format')!r}"
        )
    return _from_bytes(description, (folder / "model.safetensors").read_bytes())


@lru_cache(_SHARED)
def _from_bytes(description: bytes, weights: bytes) -> RewardModel:
    data, arrays = json.loads(description), load(weights)
    members = []
    for k, item_id in enumerate(data["statistics"]):
        prefix = f"{k}.network."
        state = {
            n.removeprefix(prefix): torch.from_numpy(a)
            for n, a in arrays.items()
            if n.startswith(prefix)
        }
        statistics = ItemStatistics(np.array(item_id, object), arrays[f"{k}.statistics"])
        members.append(FoldModel(network_from_state(state), statistics))
    return RewardModel(
        heads=tuple(data["heads"]),
        north_star=data["north_star"],
        space=FeatureSpace.from_parts(data["space"], arrays),
        members=tuple(members),
        calibration=tuple(Calibration(**c) for c in data["calibration"]),
    )
