"""The reward model: what this user will do with each candidate, one head an objective."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load, save_file

from mrlm.bandit_log import Catalog, Decisions
from mrlm.bandit_log.distinct_pairs import distinct_pairs
from mrlm.bandit_log.last_call import LastCall
from mrlm.bandit_log.later_slot import LaterSlot
from mrlm.bandit_log.user_folds import crc, user_folds
from mrlm.behaviour.calibration import Calibration
from mrlm.behaviour.features import (
    PairFeatures,
    PairsRead,
    read_history,
    read_pairs,
    slot_features,
)
from mrlm.behaviour.forward import PairForward
from mrlm.behaviour.item_factors import ItemFactors
from mrlm.behaviour.language.tuned_model import LanguageModel, language_outputs
from mrlm.behaviour.network import PairNetwork, network_from_state
from mrlm.behaviour.scene_heads import SceneHeads
from mrlm.behaviour.served_features import ServedFeatures
from mrlm.behaviour.space import FeatureSpace, ItemTable, item_table
from mrlm.behaviour.statistics import ItemStatistics
from mrlm.behaviour.taste import loadings_of, taste_of, tastes_for, tastes_of
from mrlm.behaviour.user_states import UserRead, UserStates

UNCERTAINTY = "uncertainty"
# Models that read pairs alone, those that read the history by item factors too, and those for
# which a language model reads it as well.
PAIR, HISTORY, LANGUAGE = "reward_model", "history", "language"
# Format 1 of pairs reads one reward of the history, and has no evidence of what was ignored.
# Format 1 of `language` does not say which objectives its texts name.
_FORMATS = {PAIR: (1, 2), HISTORY: (1,), LANGUAGE: (2,)}
KINDS = tuple(_FORMATS)


@dataclass(frozen=True)
class FoldModel:
    """What was learned without the users of one fold.

    Attributes:
        network: of pair features with ``columns``.
        statistics: what happened with each item.
        factors: of each objective that the model reads the history by; none for pairs alone.
        language: reads the history's text; only for the model of that name.
    """

    network: PairNetwork
    statistics: ItemStatistics
    factors: tuple[ItemFactors, ...] = ()
    language: LanguageModel | None = None

    def columns(self, states: Decisions, taste: NDArray[np.floating]) -> NDArray[np.floating]:
        """What this fold knows of every candidate beside the pair features, (N, columns).

        Args:
            states: distinct ones, with N candidates in all.
            taste: ``taste_features`` of them by ``factors``.
        """
        parts = [self.statistics.table(states.catalog)[states.candidates.values], taste]
        if self.language is not None:
            parts.append(language_outputs(states, [self.language])[0])
        return np.concatenate(parts, axis=1)

    @cached_property
    def single(self) -> PairForward:
        """The network in float32, which is enough to learn from."""
        return PairForward.of([self.network], np.float32)


@dataclass(frozen=True)
class _Read:
    """What a model reads of the pairs of decisions whatever the slot.

    Attributes:
        state: int64, shape (n,), the state of each decision.
        pair: int64, shape (N,), the pair of each candidate.
        features: pair features of the pairs.
        own: what each member knows of them, float64, shape (members, P, columns).
    """

    state: NDArray[np.int64]
    pair: NDArray[np.int64]
    features: PairsRead
    own: NDArray[np.float64]


# Items of a catalogue whose loadings are kept: with three objectives and members 1 KiB each.
_KEPT = 1 << 15
# Models that one process reads again and again: tonight's, and those inside the champions.
_SHARED = 8


@dataclass(frozen=True, eq=False)
class RewardModel:
    """A cross-fitted ensemble: fold model k was fitted without the users of fold k.

    What was encoded last is kept while its decisions live: the learned scores of a night read the
    same encoding, and the slots of a list what was read for the first one. So is what was read of
    the last catalogue, and of users over it who came alone: a request costs what it asks for, not
    what there is.

    Attributes:
        heads: the feedback objectives, in the order of the log.
        north_star: the head whose spread over the ensemble is the uncertainty.
        space: fitted scales of the features.
        members: one fold model a fold.
        calibration: one a head, fitted on out-of-fold outputs: brings outputs to reward units.
        scenes: what scenes add to the last layer of the members; None for one layer for all.
        precision: in which the networks are computed; what they read is float64.
    """

    heads: tuple[str, ...]
    north_star: str
    space: FeatureSpace
    members: tuple[FoldModel, ...]
    calibration: tuple[Calibration, ...]
    scenes: SceneHeads | None = None
    precision: type[np.floating] = np.float64
    _encoded: LastCall[Decisions, tuple[ServedFeatures, NDArray[np.float64]]] = field(
        default_factory=LastCall, init=False, repr=False
    )
    _scored: LastCall[
        Decisions, tuple[tuple[ServedFeatures, NDArray[np.float64]], NDArray[np.float64]]
    ] = field(default_factory=LastCall, init=False, repr=False)
    _read: LastCall[Decisions, _Read] = field(default_factory=LastCall, init=False, repr=False)
    _users: LastCall[Catalog, UserStates] = field(default_factory=LastCall, init=False, repr=False)
    _of_items: LastCall[Catalog, NDArray[np.float64]] = field(
        default_factory=LastCall, init=False, repr=False
    )
    _loading: LastCall[Catalog, NDArray[np.floating]] = field(
        default_factory=LastCall, init=False, repr=False
    )
    _table: LastCall[Catalog, ItemTable] = field(default_factory=LastCall, init=False, repr=False)

    @property
    def kind(self) -> str:
        """Whether it reads pairs alone, or the history too, or its text as well."""
        if self.members[0].language:
            return LANGUAGE
        return HISTORY if self.members[0].factors else PAIR

    @property
    def folds(self) -> int:
        """Folds of users by ``crc()`` of ``mrlm.bandit_log.user_folds``; each has its member."""
        return len(self.members)

    @property
    def binary(self) -> tuple[bool, ...]:
        """Whether each head predicts a probability."""
        return tuple(c.binary for c in self.calibration)

    @property
    def items(self) -> NDArray[np.object_]:
        """Identifiers of the items that it has a reward of, sorted."""
        return np.unique(np.concatenate([m.statistics.item_id for m in self.members]))

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
            out[place] = self._scored.of(part, self._score)[1]
        return out

    def encode(self, decisions: Decisions) -> tuple[ServedFeatures, NDArray[np.float64]]:
        """Pair features with item statistics, the folds' mean, and ``score``; all at once."""
        return self._encoded.of(decisions, self._encode)

    def _encode(self, decisions: Decisions) -> tuple[ServedFeatures, NDArray[np.float64]]:
        (features, own), values = self._scored.of(decisions, self._score)
        return features.with_pair_columns(own.mean(axis=0)), values

    def _score(
        self, decisions: Decisions
    ) -> tuple[tuple[ServedFeatures, NDArray[np.float64]], NDArray[np.float64]]:
        """Pair features, what each member knows beside them, and the values."""
        first = decisions.first if isinstance(decisions, LaterSlot) else decisions
        read = self._read.of(first, self._read_pairs)
        state, pair = read.state, read.pair
        if isinstance(decisions, LaterSlot):
            state, pair = state[decisions.of_decision], pair[decisions.of_candidate]
        table = self._table_of(decisions.catalog)
        features = slot_features(decisions, state, pair, read.features, self.space, table)
        scenes = None if self.scenes is None else (self.scenes, self.scenes.code(decisions.scene))
        outputs = self.networks.outputs(features, read.own, scenes)
        heads = self.calibrated(outputs)
        spread = heads[:, :, self.heads.index(self.north_star)].std(axis=0)
        values = np.concatenate([heads.mean(axis=0), spread[:, None]], axis=1)
        return (features, read.own), values

    def hidden(self, decisions: Decisions) -> tuple[NDArray[np.floating], NDArray[np.float64]]:
        """The members' last hidden layers, (k, N, hidden), and outputs without scenes, (k, N, J).

        Hidden layers are negated, as ``networks.head`` reads them.
        """
        read, table = self._read_pairs(decisions), self._table_of(decisions.catalog)
        features = slot_features(decisions, read.state, read.pair, read.features, self.space, table)
        hidden = self.networks.hidden(features, read.own)
        return hidden, hidden @ self.networks.head + self.networks.head_bias

    def _read_pairs(self, decisions: Decisions) -> _Read:
        pairs = distinct_pairs(decisions)
        states, table = pairs.states, self._table_of(decisions.catalog)
        catalog, codes = states.catalog, states.candidates.values
        if len(states) == 1:
            user = self._users.of(catalog, lambda _: UserStates()).of(states, self._read_user)
            history = user.history
            taste = tastes_for(user.taste, self._loadings(catalog, codes))
        else:
            history = read_history(states, self.space, table)
            taste = tastes_of(states, self.space, self._factors, np.float64)
        by_member = taste.reshape(len(taste), len(self.members), -1).swapaxes(0, 1)
        parts = [self._statistics(catalog).take(codes, axis=1), by_member]
        if self._language:
            parts.append(language_outputs(states, self._language))
        own = np.concatenate(parts, axis=2)
        features = read_pairs(states.candidates, history, self.space, table)
        return _Read(pairs.state, pairs.pair, features, own)

    def _read_user(self, state: Decisions) -> UserRead:
        return UserRead(
            read_history(state, self.space, self._table_of(state.catalog)),
            taste_of(state, self.space, self._factors, np.float64),
        )

    def _statistics(self, catalog: Catalog) -> NDArray[np.float64]:
        """Of every item by each member, shape (members, items, heads + 1)."""
        return self._of_items.of(
            catalog,
            lambda c: np.array([m.statistics.table(c) for m in self.members], np.float64),
        )

    def _loadings(self, catalog: Catalog, codes: NDArray[np.int32]) -> NDArray[np.floating]:
        """Of items by all factors; of a catalogue that is not too large made once for all items."""
        if len(catalog) > _KEPT:
            return loadings_of(self._factors, catalog, codes, np.float64)
        every = self._loading.of(
            catalog, lambda c: loadings_of(self._factors, c, np.arange(len(c)), np.float64)
        )
        return every.take(codes, axis=1)

    @cached_property
    def _factors(self) -> tuple[ItemFactors, ...]:
        """Those of all members at once: they read the same states."""
        return tuple(f for m in self.members for f in m.factors)

    @cached_property
    def _language(self) -> tuple[LanguageModel, ...]:
        """Those of all members at once: they read the same texts."""
        return tuple(m.language for m in self.members if m.language)

    @cached_property
    def networks(self) -> PairForward:
        """Those of the members."""
        return PairForward.of([m.network for m in self.members], self.precision)

    @cached_property
    def in_single(self) -> RewardModel:
        """The same with networks in float32, which reads catalogues and users for itself."""
        return replace(self, precision=np.float32)

    def _table_of(self, catalog: Catalog) -> ItemTable:
        return self._table.of(catalog, lambda c: item_table(self.space, c, np.float64))

    def score_cross_fitted(self, decisions: Decisions) -> NDArray[np.float64]:
        """Expected reward by the one fold model that never saw the row's user, (N, heads).

        For learning on the fit nights. There is no uncertainty column: it needs the ensemble.
        Scenes' own layers are left out: they were fitted on these users.
        """
        out = np.zeros((len(decisions.candidates.values), len(self.heads)))
        for place, part in decisions.blocks():
            out[place] = self.encode_cross_fitted(part)[1]
        return out

    def encode_cross_fitted(self, decisions: Decisions) -> tuple[PairFeatures, NDArray[np.float64]]:
        """``encode`` by the fold model that never saw the row's user; values (N, heads)."""
        fold = user_folds(decisions.user, self.folds, crc())
        table = item_table(self.space, decisions.catalog)
        parts = []
        for k, member in enumerate(self.members):
            part = decisions.take(np.flatnonzero(fold == k))
            pairs = distinct_pairs(part)
            history = read_history(pairs.states, self.space, table)
            read = read_pairs(pairs.states.candidates, history, self.space, table)
            taste = tastes_of(pairs.states, self.space, member.factors)
            own = member.columns(pairs.states, taste)
            served = slot_features(part, pairs.state, pairs.pair, read, self.space, table)
            served = served.with_pair_columns(own.astype(np.float32))
            outputs = self.calibrated(member.single.outputs(served)[0])
            parts.append((PairFeatures.of(served), outputs))
        return _by_decision(decisions, fold, parts)

    def save(self, folder: Path) -> None:
        """Write ``model.json`` and ``model.safetensors`` into an existing folder."""
        arrays: dict[str, NDArray[np.generic]] = dict(self.space.arrays())
        for k, member in enumerate(self.members):
            for name, tensor in member.network.state_dict().items():
                arrays[f"{k}.network.{name}"] = tensor.detach().numpy()
            arrays[f"{k}.statistics"] = member.statistics.values
            for j, factors in enumerate(member.factors):
                arrays |= factors.arrays(f"{k}.factors.{j}.")
            if member.language:
                arrays |= member.language.arrays(f"{k}.language.")
        if self.scenes is not None:
            arrays |= {"scenes.weight": self.scenes.weight, "scenes.bias": self.scenes.bias}
        contiguous = {n: np.ascontiguousarray(a) for n, a in arrays.items()}
        save_file(contiguous, folder / "model.safetensors")
        data = {
            "kind": self.kind,
            "format": _FORMATS[self.kind][-1],
            "heads": list(self.heads),
            "north_star": self.north_star,
            "space": self.space.describe(),
            "calibration": [asdict(c) for c in self.calibration],
            "statistics": [m.statistics.item_id.tolist() for m in self.members],
        }
        if self.kind != PAIR:
            data["factors"] = [[f.describe() for f in m.factors] for m in self.members]
        if self.scenes is not None:
            data["scenes"] = self.scenes.names.tolist()
        if self._language:
            data["language"] = [m.describe() for m in self._language]
        (folder / "model.json").write_text(json.dumps(data, sort_keys=True))

    def calibrated(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Outputs in reward units, shape (..., heads)."""
        heads = [c(outputs[..., j]) for j, c in enumerate(self.calibration)]
        return np.stack(heads, axis=-1)


def _by_decision(
    decisions: Decisions,
    fold: NDArray[np.int64],
    parts: Sequence[tuple[PairFeatures, NDArray[np.float64]]],
) -> tuple[PairFeatures, NDArray[np.float64]]:
    """Features and values of each fold's decisions, in the order of all decisions."""
    row = decisions.candidates.row
    # Stable: what comes first within a fold came first among all.
    candidate = np.argsort(np.argsort(fold[row], kind="stable"), kind="stable")
    decision = np.argsort(np.argsort(fold, kind="stable"), kind="stable")
    features = PairFeatures(
        dense=np.concatenate([f.dense for f, _ in parts])[candidate],
        item=decisions.candidates.values.astype(np.int64),
        row=row,
        item_vectors=parts[0][0].item_vectors,
        user_vectors=np.concatenate([f.user_vectors for f, _ in parts])[decision],
    )
    return features, np.concatenate([v for _, v in parts])[candidate]


def load_reward_model(folder: Path) -> RewardModel:
    """Read what ``RewardModel.save`` wrote; scores are the same to the bit.

    The same content is the same object, wherever it is read from.

    Raises:
        ValueError: the folder holds something else, or a format of another version.
    """
    description = (folder / "model.json").read_bytes()
    data = json.loads(description)
    if data.get("format") not in _FORMATS.get(data.get("kind"), ()):
        known = " or ".join(f"{kind} of format {f[-1]}" for kind, f in _FORMATS.items())
        raise ValueError(
            f"{folder}: expected a {known}, found {data.get('kind')!r} of format "
            f"{data.get('format')!r}"
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
        factors = tuple(
            ItemFactors.from_parts(of, arrays, f"{k}.factors.{j}.")
            for j, of in enumerate(data["factors"][k] if "factors" in data else ())
        )
        language = (
            LanguageModel.from_parts(data["language"][k], arrays, f"{k}.language.")
            if "language" in data
            else None
        )
        members.append(FoldModel(network_from_state(state), statistics, factors, language))
    return RewardModel(
        heads=tuple(data["heads"]),
        north_star=data["north_star"],
        space=FeatureSpace.from_parts(data["space"], arrays),
        members=tuple(members),
        calibration=tuple(Calibration(**c) for c in data["calibration"]),
        scenes=(
            SceneHeads(np.array(data["scenes"]), arrays["scenes.weight"], arrays["scenes.bias"])
            if "scenes" in data
            else None
        ),
    )
