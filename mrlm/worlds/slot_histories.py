"""What users look back on in a world: an entry for each slot and moment at which more is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Objective
from mrlm.bandit_log.histories import NO_REQUEST, OPEN, Histories


@dataclass(frozen=True)
class SlotHistories:
    """Entries of n slots that are filled as the slots are shown.

    A reward is known from the slot on, or from the first moment of the night on which its window
    has closed. So a slot has an entry for each such moment, with what is known then.

    Attributes:
        histories: ``versions`` entries a slot, in the order of the slots.
        versions: entries of each slot.
        columns: int64, shape (f,), of the feedback objectives among all objectives, in the order
            of the histories.
        known: bool, shape (versions, f), which rewards each entry of a slot holds.
    """

    histories: Histories
    versions: int
    columns: NDArray[np.int64]
    known: NDArray[np.bool_]

    @classmethod
    def blank(
        cls,
        ts: NDArray[np.datetime64],
        night: NDArray[np.datetime64],
        objectives: tuple[Objective, ...],
        history_objective: str,
    ) -> SlotHistories:
        """Entries that nothing is known of yet.

        Args:
            ts: datetime64[us], shape (n,), of the slots.
            night: datetime64[D], shape (n,).
            objectives: of the rewards that ``fill`` is given.
            history_objective: the first objective of the histories.

        Raises:
            ValueError: ``history_objective`` comes from no feedback.
        """
        feedback = [j for j, o in enumerate(objectives) if o.source == "feedback"]
        feedback.sort(key=lambda j: objectives[j].name != history_objective)
        if not feedback or history_objective != objectives[feedback[0]].name:
            raise ValueError(f"history_objective {history_objective!r} is none of the feedback")
        lags = [objectives[j].window_nights for j in feedback]
        windows = sorted({0, *lags})
        n, versions = len(ts), len(windows)
        midnight = night.astype(ts.dtype)
        # A decision sees what was known before its time, so one at midnight sees what it brings.
        opens = [midnight + np.timedelta64(w, "D") - np.timedelta64(1, "us") for w in windows[1:]]
        moments = np.stack([ts, *opens], axis=1)
        histories = Histories(
            item=np.zeros(n * versions, np.int32),
            shown=np.repeat(ts, versions),
            known_from=moments.ravel(),
            known_until=np.concatenate([moments[:, 1:], np.full((n, 1), OPEN)], axis=1).ravel(),
            request=np.full(n * versions, NO_REQUEST, np.int64),
            objectives=tuple(objectives[j].name for j in feedback),
            rewards=np.full((n * versions, len(feedback)), np.nan, np.float32),
        )
        known = np.array([[lag <= w for lag in lags] for w in windows])
        return cls(histories, versions, np.array(feedback, np.int64), known)

    def fill(
        self, slots: NDArray[np.int64], item: NDArray[np.int32], rewards: NDArray[np.float64]
    ) -> None:
        """Write what slots showed and brought, in place.

        Nobody looks back on a slot before it is shown, so what was read of it before stays true.

        Args:
            slots: int64, shape (k,), numbers of the slots.
            item: int32, shape (k,), codes of the items shown.
            rewards: float64, shape (k, m), of all objectives.
        """
        own = np.where(self.known, rewards[:, None, self.columns], np.nan)
        for version in range(self.versions):
            entries = slots * self.versions + version
            self.histories.item[entries] = item
            self.histories.rewards[entries] = own[:, version]
