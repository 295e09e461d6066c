"""What every learner gives: one score a candidate, to rank by or to put into a softmax."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load, save_file

from mrlm.bandit_log import Decisions, Objective
from mrlm.bandit_log.last_call import LastCall
from mrlm.bandit_log.ragged import rows, segment_sum
from mrlm.behaviour.contract import BehaviourModel
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.ensemble.storage import load_reward_model
from mrlm.behaviour.networks.forward import PairForward
from mrlm.learners.inputs import deployed_features
from mrlm.learners.network import ScoreNetwork, score_network_from_state
from mrlm.learners.scalarisation import Scalarisation

_FORMAT = 1


# Two learners of tonight, and those inside the champions.
_SHARED = 16


@dataclass(frozen=True, eq=False)
class LearnedScorer:
    """A learned score of candidates, with all that it needs to read new nights.

    The last scores are kept while their decisions live: a challenger weighs those of its anchor.

    Attributes:
        name: of the learner, or learner.variant; also the column.
        network: scores pairs.
        reward_model: gives the features.
        scalarisation: the weights that were learned at.
    """

    name: str
    network: ScoreNetwork
    reward_model: BehaviourModel
    scalarisation: Scalarisation
    _scored: LastCall[Decisions, NDArray[np.float64]] = field(
        default_factory=LastCall, init=False, repr=False
    )

    @property
    def kind(self) -> str:
        """Which loader reads it back: the learner's."""
        return self.name.partition(".")[0]

    @property
    def columns(self) -> tuple[str, ...]:
        """Its name."""
        return (self.name,)

    def score(self, decisions: Decisions) -> NDArray[np.float64]:
        """Score minus its mean over the candidate set, float64, shape (N, 1).

        Only differences within a set choose between candidates; without the mean, scores of
        different decisions are on one scale.
        """
        return self._scored.of(decisions, self._score)

    def _score(self, decisions: Decisions) -> NDArray[np.float64]:
        out = np.zeros((len(decisions.candidates.values), 1))
        for place, part in decisions.blocks():
            features = deployed_features(part, self.reward_model, self.scalarisation)
            out[place] = (
                self._gain * features.by_candidate[:, -1:] + self._exact.outputs(features)[0]
            )
        lengths = np.maximum(np.diff(decisions.offsets), 1)
        mean = segment_sum(out[:, 0], decisions.offsets) / lengths
        out -= mean[rows(decisions.offsets)][:, None]
        out.flags.writeable = False
        return out

    @property
    def model(self) -> BehaviourModel:
        """What gives the features."""
        return self.reward_model

    def reading(self, model: BehaviourModel) -> LearnedScorer:
        """The same by another reward model."""
        return replace(self, reward_model=model)

    @cached_property
    def in_single(self) -> LearnedScorer:
        """The same over a behaviour model in float32, where it has that; its own network is not.

        A score that was learned chooses far more sharply than heads do, and errors grow with it.
        """
        model = self.reward_model
        single = model.in_single if isinstance(model, RewardModel) else model
        return replace(self, reward_model=single)

    @cached_property
    def _exact(self) -> PairForward:
        return PairForward.of([self.network.pair])

    @cached_property
    def _gain(self) -> float:
        return float(self.network.gain.detach())

    def save(self, folder: Path) -> None:
        """Write ``scorer.json``, ``scorer.safetensors`` and ``reward_model/`` into a folder."""
        (folder / "reward_model").mkdir()
        self.reward_model.save(folder / "reward_model")
        state = {n: t.contiguous() for n, t in self.network.state_dict().items()}
        save_file(state, folder / "scorer.safetensors")
        data = {
            "kind": self.kind,
            **({} if self.name == self.kind else {"name": self.name}),
            "format": _FORMAT,
            "objectives": [o.to_json() for o in self.scalarisation.objectives],
            "weight": self.scalarisation.weight.tolist(),
            "mean": self.scalarisation.mean.tolist(),
            "scale": self.scalarisation.scale.tolist(),
        }
        (folder / "scorer.json").write_text(json.dumps(data, indent=1, sort_keys=True))


def load_scorer(folder: Path) -> LearnedScorer:
    """Read what ``LearnedScorer.save`` wrote; scores are the same to the bit.

    The same content is the same object, wherever it is read from.

    Raises:
        ValueError: the folder holds a format of another version.
    """
    description = (folder / "scorer.json").read_bytes()
    found = json.loads(description)["format"]
    if found != _FORMAT:
        raise ValueError(f"{folder}: format {found}, this version reads {_FORMAT}")
    weights = (folder / "scorer.safetensors").read_bytes()
    return _from_bytes(description, weights, load_reward_model(folder / "reward_model"))


@lru_cache(_SHARED)
def _from_bytes(description: bytes, weights: bytes, reward_model: BehaviourModel) -> LearnedScorer:
    data: dict[str, Any] = json.loads(description)
    return LearnedScorer(
        name=data.get("name", data["kind"]),
        network=score_network_from_state(load(weights)),
        reward_model=reward_model,
        scalarisation=Scalarisation(
            objectives=tuple(Objective(**o) for o in data["objectives"]),
            weight=np.array(data["weight"]),
            mean=np.array(data["mean"]),
            scale=np.array(data["scale"]),
        ),
    )
