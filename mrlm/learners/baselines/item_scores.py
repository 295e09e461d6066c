"""One number an item, whatever the state: the form of the baselines that know no user."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from mrlm.bandit_log import Decisions

_FORMAT = 1


@dataclass(frozen=True, eq=False)
class ItemScores:
    """A scorer that looks a candidate's number up.

    Attributes:
        name: of the baseline; also the column and the kind.
        item_id: str objects, shape (k,), unique.
        value: float64, shape (k,), finite.
        elsewhere: of every other item.
    """

    name: str
    item_id: NDArray[np.object_]
    value: NDArray[np.float64]
    elsewhere: float

    @property
    def kind(self) -> str:
        """Which loader reads it back."""
        return self.name

    @property
    def columns(self) -> tuple[str, ...]:
        """The baseline's name."""
        return (self.name,)

    def score(self, decisions: Decisions) -> NDArray[np.float64]:
        """The number of every candidate's item, float64, shape (N, 1)."""
        of_item = np.full(len(decisions.catalog), self.elsewhere)
        code = decisions.catalog.codes(self.item_id)
        of_item[code[code >= 0]] = self.value[code >= 0]
        found: NDArray[np.float64] = of_item[decisions.candidates.values][:, None]
        return found

    def save(self, folder: Path) -> None:
        """Write ``scorer.json`` and ``scorer.safetensors`` into a folder."""
        save_file({"value": np.ascontiguousarray(self.value)}, folder / "scorer.safetensors")
        data = {
            "kind": self.kind,
            "format": _FORMAT,
            "elsewhere": self.elsewhere,
            "item_id": self.item_id.tolist(),
        }
        (folder / "scorer.json").write_text(json.dumps(data, indent=1, sort_keys=True))


def load_item_scores(folder: Path) -> ItemScores:
    """Read what ``ItemScores.save`` wrote; scores are the same to the bit.

    Raises:
        ValueError: the folder holds a format of another version.
    """
    data = json.loads((folder / "scorer.json").read_text())
    if data["format"] != _FORMAT:
        raise ValueError(f"{folder}: format {data['format']}, this version reads {_FORMAT}")
    return ItemScores(
        name=data["kind"],
        item_id=np.array(data["item_id"], dtype=object),
        value=load_file(folder / "scorer.safetensors")["value"],
        elsewhere=data["elsewhere"],
    )
