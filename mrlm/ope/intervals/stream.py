"""One pass over a log in batches, in memory that does not grow with its rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np

from mrlm.ope.intervals import Estimate, estimates
from mrlm.ope.intervals.folded_estimates import folded_estimates
from mrlm.ope.scores import Scores
from mrlm.ope.state.folded import FoldedState
from mrlm.ope.state.state import EvaluationState
from mrlm.ope.verdict.certify import Thresholds

Order = Literal["scattered", "sorted", "complete"]
S = TypeVar("S", EvaluationState, FoldedState)


@dataclass(frozen=True)
class StreamState:
    """One estimate's state over a pass: users who may come back, and the moments of the others.

    Memory grows with the users only where they are scattered over the log. Of a log sorted by user
    all but the newest user are folded as soon as the next one comes; of a log partitioned by user,
    call ``fold`` after each partition.

    Attributes:
        open: users who may come back; None where there are none.
        folded: users who will not; None where there are none.
    """

    open: EvaluationState | None = None
    folded: FoldedState | None = None

    def add(self, scores: Scores, order: Order = "scattered") -> StreamState:
        """This state with one more batch.

        Args:
            scores: of the batch.
            order: ``scattered`` where any user may come again, ``sorted`` where users come in
                rising order, ``complete`` where no user of this batch was or will be in another.

        Raises:
            ValueError: the batch is not sorted, or of another estimate.
        """
        if order == "complete":
            return self._with_folded(EvaluationState.of(scores))
        if order == "sorted":
            _check_sorted(scores, self.open)
        batch = EvaluationState.of(scores)
        state = batch if self.open is None else self.open.merge(batch)
        if order == "scattered" or len(state.cluster) == 1:
            return replace(self, open=state)
        return replace(self, open=state.take(slice(-1, None)))._with_folded(
            state.take(slice(0, -1))
        )

    def fold(self) -> StreamState:
        """The same state after a partition: no user so far will come again."""
        return self if self.open is None else replace(self, open=None)._with_folded(self.open)

    def merge(self, other: StreamState) -> StreamState:
        """The state of both passes; a user whom one of them folded must not be in the other.

        Raises:
            ValueError: the other state is of another estimate.
        """
        return StreamState(
            open=_either(self.open, other.open), folded=_either(self.folded, other.folded)
        )

    def estimates(
        self, level: float = 0.95, thresholds: Thresholds | None = None
    ) -> dict[str, Estimate]:
        """Estimate of each objective, by name; see ``mrlm.ope.estimates``.

        Raises:
            ValueError: no round was added, or the level is not in (0, 1).
        """
        if self.folded is None and self.open is not None:
            return estimates(self.open, level, thresholds)
        whole = self.fold().folded
        if whole is None:
            raise ValueError("no round was added: there is nothing to estimate from")
        return folded_estimates(whole, level, thresholds)

    def _with_folded(self, state: EvaluationState) -> StreamState:
        return replace(self, folded=_either(self.folded, FoldedState.of(state)))


def _either(first: S | None, second: S | None) -> S | None:
    if first is None or second is None:
        return second if first is None else first
    return first.merge(second)


def _check_sorted(scores: Scores, last: EvaluationState | None) -> None:
    users = scores.cluster
    fall = np.flatnonzero(users[1:] < users[:-1])
    if last is not None and users[0] < last.cluster[-1]:
        first, second = last.cluster[-1:].tolist() + users[:1].tolist()
    elif len(fall):
        first, second = users[fall[0] : fall[0] + 2].tolist()
    else:
        return
    raise ValueError(f"user {second!r} comes after {first!r}: sort by user")
