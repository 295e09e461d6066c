"""One number an item, whatever the state: the form of the baselines that know no user."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions
from mrlm.learners.baselines.stored_scores import read_scores, write_scores


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
        tensors = {"value": self.value}
        write_scores(folder, self.kind, self.item_id, tensors, elsewhere=self.elsewhere)


def load_item_scores(folder: Path) -> ItemScores:
    """Read what ``ItemScores.save`` wrote; scores are the same to the bit.

    Raises:
        ValueError: the folder holds a format of another version.
    """
    kind, fields = read_scores(folder)
    return ItemScores(kind, **fields)
