"""Who made each decision, and with what propensities: what a log tells before its rewards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.dataset as pads
from numpy.typing import NDArray

from mrlm.bandit_log.bandit_log import BanditLog
from mrlm.bandit_log.stored.reader import decisions_of

_LISTS = "candidate_propensities"


@dataclass(frozen=True)
class LoggedPropensities:
    """Decisions of which every candidate's propensity is known.

    Attributes:
        policy_id: the logger of each, str, shape (n,).
        offsets: int64, shape (n + 1,), where each one's candidates begin.
        propensity: float64, shape (N,), of every candidate under the logger.
    """

    policy_id: NDArray[np.object_]
    offsets: NDArray[np.int64]
    propensity: NDArray[np.float64]

    @classmethod
    def read(cls, path: Path) -> LoggedPropensities:
        """The decisions of a path, as for ``read_bandit_log``, that logged them all."""
        table = pads.dataset(decisions_of(path), partitioning=None).to_table(
            ["policy_id", _LISTS], filter=pc.is_valid(pc.field(_LISTS))
        )
        lists = table[_LISTS].combine_chunks()
        offsets = np.zeros(len(table) + 1, np.int64)
        np.cumsum(pc.list_value_length(lists).to_numpy(zero_copy_only=False), out=offsets[1:])
        return cls(
            pc.fill_null(table["policy_id"], "").to_numpy().astype(object),
            offsets,
            pc.list_flatten(lists).to_numpy(zero_copy_only=False).astype(np.float64),
        )

    @classmethod
    def of(cls, log: BanditLog) -> LoggedPropensities:
        """Those of a log in memory, NaN where one is missing."""
        return cls(log.policy_id, log.decisions.offsets, log.candidate_propensity)

    def __len__(self) -> int:
        return len(self.offsets) - 1
