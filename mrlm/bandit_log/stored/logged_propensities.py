"""Who made each decision, and with what propensities: what a log tells before its rewards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from mrlm.bandit_log.bandit_log import BanditLog
from mrlm.bandit_log.stored.reader import decisions_of
from mrlm.bandit_log.stored.user_sample import UserSample

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
    def read(cls, path: Path, most: int | None = None) -> LoggedPropensities | None:
        """Decisions of a path, those that ``read_bandit_log`` reads of it.

        Args:
            path: of a night.
            most: about how many decisions are read; None: all.

        Returns:
            None where some decision did not log them: it may be of another kind than the rest.
        """
        place = decisions_of(path)
        table = UserSample.of(place, most, path.name).read(place, ["policy_id", _LISTS])
        lists = table[_LISTS].combine_chunks()
        if lists.null_count:
            return None
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
