"""Reward models read back from the folders that they were saved to."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load

from mrlm.behaviour.ensemble.calibration import Calibration
from mrlm.behaviour.ensemble.fold_model import FoldModel
from mrlm.behaviour.ensemble.reward_model import FORMATS, RewardModel
from mrlm.behaviour.features.item_factors import ItemFactors
from mrlm.behaviour.features.space import FeatureSpace
from mrlm.behaviour.features.statistics import ItemStatistics
from mrlm.behaviour.language.tuned_model import LanguageModel
from mrlm.behaviour.networks.network import network_from_state
from mrlm.behaviour.networks.scene_heads import SceneHeads
from mrlm.behaviour.sequence.sequence_model import SequenceModel
from mrlm.behaviour.uncertainty.layer_posterior import LayerPosterior

KINDS = tuple(FORMATS)
# Models that one process reads again and again: tonight's, and those inside the champions.
_SHARED = 8


def load_reward_model(folder: Path) -> RewardModel:
    """Read what ``RewardModel.save`` wrote; scores are the same to the bit.

    The same content is the same object, wherever it is read from.

    Raises:
        ValueError: the folder holds something else, or a format of another version.
    """
    description = (folder / "model.json").read_bytes()
    data = json.loads(description)
    if data.get("format") not in FORMATS.get(data.get("kind"), ()):
        known = " or ".join(f"{kind} of format {f[-1]}" for kind, f in FORMATS.items())
        raise ValueError(
            f"{folder}: expected a {known}, found {data.get('kind')!r} of format "
            f"{data.get('format')!r}"
        )
    return _from_bytes(description, (folder / "model.safetensors").read_bytes())


@lru_cache(_SHARED)
def _from_bytes(description: bytes, weights: bytes) -> RewardModel:
    data, arrays = json.loads(description), load(weights)
    members, space = [], FeatureSpace.from_parts(data["space"], arrays)
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
        sequence = (
            SequenceModel.from_parts(
                data["sequence"][k], arrays, f"{k}.sequence.", space, statistics
            )
            if "sequence" in data
            else None
        )
        network = network_from_state(state)
        members.append(FoldModel(network, statistics, factors, language, sequence))
    return RewardModel(
        heads=tuple(data["heads"]),
        north_star=data["north_star"],
        space=space,
        members=tuple(members),
        calibration=tuple(Calibration(**c) for c in data["calibration"]),
        scenes=(
            SceneHeads(np.array(data["scenes"]), arrays["scenes.weight"], arrays["scenes.bias"])
            if "scenes" in data
            else None
        ),
        posterior=LayerPosterior.from_arrays(arrays),
    )
