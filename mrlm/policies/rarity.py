"""How seldom a policy shows what a candidate belongs to: what exposure is raised by."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from mrlm.bandit_log import Decisions
from mrlm.bandit_log.item_groups import GroupKind, coded_groups, group_names
from mrlm.bandit_log.ragged import segment_sum
from mrlm.metrics.effective_number import group_shows, rarity

KIND = "rarity"
_DATA, _TENSORS = "rarity.json", "rarity.safetensors"


@dataclass(frozen=True, eq=False)
class Rarity:
    """A scorer: -log of the share of shows that a policy gives the candidate's group.

    Of several groups, such as categories, the mean. A weight on it pays for a larger effective
    number of groups: it is the gradient of the logarithm of that number at the policy's exposure.

    Attributes:
        groups: what shows are counted by.
        names: of the groups that were shown, str objects, shape (k,), unique.
        value: nats, float64, shape (k,).
        new: of every other group, which nobody has been shown yet.
        none: of an item without a group, which changes no share.
    """

    groups: GroupKind
    names: NDArray[np.object_]
    value: NDArray[np.float64]
    new: float
    none: float

    @classmethod
    def of(
        cls, groups: GroupKind, decisions: Decisions, probability: NDArray[np.float64]
    ) -> Rarity:
        """Of the exposure under a policy.

        Args:
            groups: what shows are counted by.
            decisions: n decisions with N candidates.
            probability: of every candidate under the policy, shape (N,).

        Raises:
            ValueError: no candidate is in a group of this kind.
        """
        of_candidate, names = coded_groups(decisions.catalog, groups, decisions.candidates.values)
        shows = group_shows(probability, of_candidate)
        if not shows.any():
            raise ValueError(
                f"tuning.diversity_floors asks for {groups}, and no item of the catalogue has any"
            )
        value, shown = rarity(shows), np.flatnonzero(shows)
        none = float(value @ shows / shows.sum())
        return cls(groups, names[shown], value[shown], float(value.max()), none)

    @property
    def kind(self) -> str:
        """Which loader reads it back."""
        return KIND

    @property
    def columns(self) -> tuple[str, ...]:
        """The name of its column."""
        return (f"rarity_of_{self.groups}",)

    def score(self, decisions: Decisions) -> NDArray[np.float64]:
        """The number of every candidate, nats, float64, shape (N, 1)."""
        items, place = np.unique(decisions.candidates.values, return_inverse=True)
        named = group_names(decisions.catalog, self.groups, items)
        value = np.array([self._known.get(name, self.new) for name in named.values])
        lengths = named.lengths
        mean = segment_sum(value, named.offsets) / np.maximum(lengths, 1)
        return np.where(lengths > 0, mean, self.none)[place][:, None]

    @cached_property
    def _known(self) -> dict[str, float]:
        return dict(zip(self.names.tolist(), self.value.tolist(), strict=True))

    def save(self, folder: Path) -> None:
        """Write ``rarity.json`` and ``rarity.safetensors`` into a folder."""
        save_file({"value": np.ascontiguousarray(self.value)}, folder / _TENSORS)
        about = {
            "kind": KIND,
            "groups": self.groups,
            "names": self.names.tolist(),
            "new": self.new,
            "none": self.none,
        }
        (folder / _DATA).write_text(json.dumps(about, indent=1, sort_keys=True))


def load_rarity(folder: Path) -> Rarity:
    """Read what ``Rarity.save`` wrote; scores are the same to the bit."""
    about = json.loads((folder / _DATA).read_text())
    return Rarity(
        groups=about["groups"],
        names=np.array(about["names"], dtype=object),
        value=load_file(folder / _TENSORS)["value"],
        new=about["new"],
        none=about["none"],
    )
