"""What scenes add to the last layer of each network: 0 is the shared network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class SceneHeads:
    """A last layer of its own for each of S scenes, of k networks with h hidden units and J heads.

    Attributes:
        names: the scenes, sorted, str, shape (S,).
        weight: what is added to ``PairForward.head``, float64, shape (k, S, h, J).
        bias: what is added to the outputs, float64, shape (k, S, J).
    """

    names: NDArray[np.str_]
    weight: NDArray[np.float64]
    bias: NDArray[np.float64]

    def code(self, scene: NDArray[np.object_]) -> NDArray[np.int64]:
        """Row of ``names`` of each decision's scene, -1 for one that was not met."""
        asked = scene.astype(str)
        place = np.searchsorted(self.names, asked).clip(max=len(self.names) - 1)
        return np.where(self.names[place] == asked, place, -1)

    def added(self, hidden: Floats, code: NDArray[np.int64]) -> NDArray[np.float64]:
        """What is added to the outputs of r rows, shape (k, r, J).

        Args:
            hidden: as ``PairForward.activate`` gives it, shape (k, r, h).
            code: of each row's scene, shape (r,).
        """
        out = np.zeros((*hidden.shape[:2], self.weight.shape[3]))
        for s in np.unique(code[code >= 0]):
            rows = code == s
            out[:, rows] = hidden[:, rows] @ self.weight[:, s] + self.bias[:, s, None]
        return out
