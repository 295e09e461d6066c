"""The reward model: what this user will do with each candidate, one head an objective."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from mrlm.bandit_log import Decisions
from mrlm.bandit_log.distinct_pairs import distinct_pairs
from mrlm.bandit_log.last_call import LastCall
from mrlm.bandit_log.user_folds import crc, user_folds
from mrlm.behaviour.ensemble.calibration import Calibration
from mrlm.behaviour.ensemble.fold_model import FoldModel
from mrlm.behaviour.ensemble.model_stack import ModelStack
from mrlm.behaviour.ensemble.stack_parameters import stack_key
from mrlm.behaviour.features.pair_features import (
    PairFeatures,
    read_history,
    read_pairs,
    slot_features,
)
from mrlm.behaviour.features.served_features import ServedFeatures
from mrlm.behaviour.features.space import FeatureSpace, item_table
from mrlm.behaviour.features.taste import tastes_of
from mrlm.behaviour.networks.forward import PairForward
from mrlm.behaviour.networks.scene_heads import SceneHeads
from mrlm.behaviour.uncertainty.layer_posterior import LayerPosterior, interval

UNCERTAINTY = "uncertainty"
# Models that read pairs alone, those that read the history by item factors too, and those for
# which a transformer reads its entries, or a language model its text, as well.
PAIR, HISTORY = "reward_model", "history"
SEQUENCE, LANGUAGE = "sequence", "language"
# Format 1 of pairs reads one reward of the history, and has no evidence of what was ignored.
# Format 1 of `language` does not say which objectives its texts name. The last but one of each has
# no posterior of its last layer: its uncertainty is the spread of its members.
FORMATS = {PAIR: (1, 2, 3), HISTORY: (1, 2), SEQUENCE: (1, 2), LANGUAGE: (2, 3)}


@dataclass(frozen=True, eq=False)
class RewardModel:
    """A cross-fitted ensemble: fold model k was fitted without the users of fold k.

    What was encoded last is kept while its decisions live: the learned scores of a night read the
    same encoding. What is kept of decisions, catalogues and users beside it, see ``ModelStack``.

    Attributes:
        heads: the feedback objectives, in the order of the log.
        north_star: the head whose uncertainty is told.
        space: fitted scales of the features.
        members: one fold model a fold.
        calibration: one a head, fitted on out-of-fold outputs: brings outputs to reward units.
        scenes: what scenes add to the last layer of the members; None for one layer for all.
        posterior: what the log leaves open; None for models of an earlier format.
        precision: in which the networks are computed; what they read is float64.
        tells_uncertainty: whether its uncertainty is computed; else it is 0, see ``expectation``.
        stack: what computes it with others in one pass, see ``together``; None: it alone.
        place: among those of ``stack``.
    """

    heads: tuple[str, ...]
    north_star: str
    space: FeatureSpace
    members: tuple[FoldModel, ...]
    calibration: tuple[Calibration, ...]
    scenes: SceneHeads | None = None
    posterior: LayerPosterior | None = None
    precision: type[np.floating] = np.float64
    tells_uncertainty: bool = True
    stack: ModelStack | None = None
    place: int = 0
    _encoded: LastCall[Decisions, tuple[ServedFeatures, NDArray[np.float64]]] = field(
        default_factory=LastCall, init=False, repr=False
    )

    @property
    def kind(self) -> str:
        """Whether it reads pairs alone, or the history too, and that in which ways."""
        if self.members[0].language:
            return LANGUAGE
        if self.members[0].sequence:
            return SEQUENCE
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

        The mean over the fold models; the uncertainty is the standard deviation of the north
        star's true expectation around it, see ``LayerPosterior``.
        """
        out = np.zeros((len(decisions.candidates.values), len(self.columns)))
        for place, part in decisions.blocks():
            out[place] = self._asked.values(part)[self.place]
        return out

    def interval(
        self, decisions: Decisions, level: float = 0.9
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Ends between which the north star's true expectation lies, each float64, shape (N,).

        Args:
            decisions: states and candidates.
            level: the chance that it does.

        Raises:
            ValueError: the level is not between 0 and 1, or the model tells no uncertainty.
        """
        if not self.tells_uncertainty:
            raise ValueError("the model was asked to tell no uncertainty: ask the model it is of")
        values, star = self.score(decisions), self.heads.index(self.north_star)
        freedom = np.inf if self.posterior is None else self.posterior.freedom
        given = values[:, star], values[:, -1], level
        return interval(*given, binary=self.binary[star], freedom=freedom)

    def encode(self, decisions: Decisions) -> tuple[ServedFeatures, NDArray[np.float64]]:
        """Pair features with item statistics, the folds' mean, and ``score``; all at once."""
        return self._encoded.of(decisions, self._encode)

    def _encode(self, decisions: Decisions) -> tuple[ServedFeatures, NDArray[np.float64]]:
        values = self._asked.values(decisions)[self.place]
        return self._asked.features(decisions, self.place), values

    def hidden(self, decisions: Decisions) -> tuple[NDArray[np.floating], NDArray[np.float64]]:
        """The members' last hidden layers, (k, N, hidden), and outputs without scenes, (k, N, J).

        Hidden layers are negated, as ``networks.head`` reads them.
        """
        k, width = self.networks.head.shape[:2]
        hidden = np.empty((k, len(decisions.candidates.values), width), self.precision)
        for rows, found in self._alone.hidden(decisions):
            hidden[:, rows] = found
        return hidden, hidden @ self.networks.head + self.networks.head_bias

    @cached_property
    def _alone(self) -> ModelStack:
        return ModelStack((self,), self.precision)

    @property
    def _asked(self) -> ModelStack:
        return self._alone if self.stack is None else self.stack

    @property
    def networks(self) -> PairForward:
        """Those of the members."""
        return self._alone.parameters.networks

    @property
    def model(self) -> RewardModel:
        """What is asked: itself."""
        return self

    def reading(self, model: RewardModel) -> RewardModel:
        """What is asked in its place."""
        return model

    @staticmethod
    def together(models: Sequence[RewardModel]) -> tuple[RewardModel, ...]:
        """The same models; those of one shape are computed in one pass when one is asked."""
        found = list(models)
        alike: dict[tuple[object, ...], list[int]] = {}
        for j, model in enumerate(models):
            alike.setdefault((stack_key(model), model.precision), []).append(j)
        for places in alike.values():
            stack = ModelStack(tuple(models[j] for j in places), models[places[0]].precision)
            for place, j in enumerate(places):
                found[j] = replace(models[j], stack=stack, place=place)
        return tuple(found)

    @cached_property
    def expectation(self) -> RewardModel:
        """The same with an uncertainty of 0, which costs nothing, for those that do not read it."""
        return replace(self, tells_uncertainty=False, stack=None, place=0)

    @cached_property
    def in_single(self) -> RewardModel:
        """The same with networks in float32, which reads catalogues and users for itself."""
        return replace(self, precision=np.float32, stack=None, place=0)

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
            if member.sequence:
                arrays |= member.sequence.arrays(f"{k}.sequence.")
        if self.scenes is not None:
            arrays |= {"scenes.weight": self.scenes.weight, "scenes.bias": self.scenes.bias}
        if self.posterior is not None:
            arrays |= self.posterior.arrays()
        contiguous = {n: np.ascontiguousarray(a) for n, a in arrays.items()}
        save_file(contiguous, folder / "model.safetensors")
        data = {
            "kind": self.kind,
            "format": FORMATS[self.kind][-2 if self.posterior is None else -1],
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
        if self.kind == LANGUAGE:
            data["language"] = [m.language.describe() for m in self.members if m.language]
        if self.kind == SEQUENCE:
            data["sequence"] = [m.sequence.describe() for m in self.members if m.sequence]
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
