"""What a night's meta-update was given, as a folder: it can be asked again without the night."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from mrlm.bandit_log import Objective
from mrlm.bandit_log.ragged import Ragged
from mrlm.bandit_log.users import group
from mrlm.meta.problem.judged_groups import JudgedGroups
from mrlm.meta.problem.tuning_problem import TuningProblem
from mrlm.meta.settings import TuningSettings

_ARRAYS, _ABOUT = "problem.safetensors", "about.json"
# Fields that folders of earlier code do not have; they are stored where they say something.
_LATER = {"open", "groups", "judged"}
_GROUPS, _JUDGED = "groups.", "judged"


@dataclass(frozen=True)
class TuningInputs:
    """The arguments of ``tune`` on one night.

    Attributes:
        problem: rounds of the tune nights; users are numbers without a meaning elsewhere.
        scene: segment of each decision, str, shape (n,): its scene, unless others were asked for.
        settings: of the meta-update.
        seed: of the night.
    """

    problem: TuningProblem
    scene: NDArray[Any]
    settings: TuningSettings
    seed: int


def save_tuning_inputs(inputs: TuningInputs, folder: Path) -> None:
    """Write into a new folder; of users their places alone, in the order of their names.

    Float64 stays float64: what is computed from the folder has the same bits.

    Raises:
        FileExistsError: the folder exists.
    """
    folder.mkdir(parents=True)
    scenes, code = np.unique(inputs.scene.astype(str), return_inverse=True)
    arrays: dict[str, NDArray[Any]] = {"scene": code.astype(np.int32)}
    plain: dict[str, Any] = {}
    for field in fields(inputs.problem):
        value = getattr(inputs.problem, field.name)
        if field.name in _LATER and not (value.any() if field.name == "open" else value):
            continue
        if isinstance(value, JudgedGroups):
            arrays[_JUDGED] = value.code
            plain[_JUDGED] = {"names": value.names, "z": value.z, "held": value.held}
        elif field.name == "groups":
            for kind, groups in value.items():
                arrays[f"{_GROUPS}{kind}.offsets"] = groups.offsets
                arrays[f"{_GROUPS}{kind}.values"] = groups.values
        elif field.name == "cluster":
            arrays[field.name] = group(value)[1]
        elif isinstance(value, np.ndarray):
            arrays[field.name] = np.ascontiguousarray(value)
        else:
            plain[field.name] = value
    plain["objectives"] = [o.to_json() for o in inputs.problem.objectives]
    about = {
        "problem": plain,
        "scenes": scenes.tolist(),
        "settings": inputs.settings.model_dump(mode="json"),
        "seed": inputs.seed,
    }
    save_file(arrays, folder / _ARRAYS)
    (folder / _ABOUT).write_text(json.dumps(about, indent=1, sort_keys=True))


def load_tuning_inputs(folder: Path) -> TuningInputs:
    """Read what ``save_tuning_inputs`` wrote.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is damaged, or of code that stored other fields.
    """
    about = json.loads((folder / _ABOUT).read_text())
    arrays = load_file(folder / _ARRAYS)
    scene = np.array(about["scenes"], dtype=object)[arrays.pop("scene")]
    plain: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in about["problem"].items()
    }
    plain["objectives"] = tuple(Objective(**o) for o in about["problem"]["objectives"])
    if _JUDGED in plain:
        told = plain[_JUDGED]
        names, held = (tuple((a, b) for a, b in told[key]) for key in ("names", "held"))
        plain[_JUDGED] = JudgedGroups(arrays.pop(_JUDGED), names, told["z"], held)
    stored = {name: arrays.pop(name) for name in list(arrays) if name.startswith(_GROUPS)}
    if (set(arrays) | set(plain)) - _LATER != {f.name for f in fields(TuningProblem)} - _LATER:
        raise ValueError(f"{folder} was stored by code that knew other fields of the problem")
    plain.update(arrays)
    kinds = sorted({name.removeprefix(_GROUPS).rpartition(".")[0] for name in stored})
    plain["groups"] = {
        kind: Ragged(stored[f"{_GROUPS}{kind}.offsets"], stored[f"{_GROUPS}{kind}.values"])
        for kind in kinds
    }
    problem = TuningProblem(**plain)
    return TuningInputs(
        problem, scene, TuningSettings.model_validate(about["settings"]), about["seed"]
    )
