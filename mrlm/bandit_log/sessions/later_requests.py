"""Which requests follow each other in a session, and discounted sums along them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mrlm.bandit_log.bandit_log import BanditLog
from mrlm.bandit_log.sessions.session_codes import pair_codes, session_codes

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LaterRequests:
    """The requests of n decisions, one session after the other, in the order of the log.

    What follows in another night is of another session, and not seen. Requests of a session have
    the order of their first slots.

    Attributes:
        request: int64, shape (n,), number of each decision's request among q requests.
        offsets: int64, shape (s + 1,), the requests of each of s sessions.
    """

    request: NDArray[np.int64]
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, log: BanditLog) -> LaterRequests:
        """Those of a log, whose sessions must be whole."""
        session = session_codes(log)
        order = np.lexsort((log.session_step, session))
        pair = pair_codes(session, request_codes(log.decision_id))[order]
        _, first, place = np.unique(pair, return_index=True, return_inverse=True)
        rank = np.empty(len(first), np.int64)
        rank[np.argsort(first)] = np.arange(len(first))
        request = np.empty(len(log), np.int64)
        request[order] = rank[place]
        sizes = np.unique(session[order][np.sort(first)], return_counts=True)[1]
        return cls(request, np.concatenate([[0], np.cumsum(sizes)]))

    def returns(self, rewards: Floats, discount: float) -> Floats:
        """Each reward, and discounted those of all slots of the session's later requests, (n,).

        ``r_i + d R_(t+1) + d^2 R_(t+2) + ...`` of a slot i of request t, R the sums over the slots
        of a request: a Monte Carlo return (Sutton and Barto, Reinforcement Learning, 2018, eq.
        3.8) where a request has one slot. NaN where one of them is.
        """
        after = self._sums(rewards, discount, backward=True)
        return rewards + discount * after[self.request]

    def reach(self, coefficient: Floats, discount: float) -> Floats:
        """How much the sum of ``coefficient`` times return grows with each own reward, shape (n,).

        The transpose of ``returns``.
        """
        before = self._sums(coefficient, discount, backward=False)
        return coefficient + discount * before[self.request]

    def _sums(self, values: Floats, discount: float, *, backward: bool) -> Floats:
        """Discounted sums over the requests behind each one, or before it, without it, (q,)."""
        total = np.bincount(self.request, weights=values, minlength=int(self.offsets[-1]))
        out = np.zeros(len(total))
        length = np.diff(self.offsets)
        longest_first = np.argsort(-length, kind="stable")
        start, stop = self.offsets[:-1][longest_first], self.offsets[1:][longest_first]
        length = length[longest_first]
        for k in range(1, int(length[0]) if len(length) else 0):
            many = int(np.searchsorted(-length, -k))
            at = stop[:many] - 1 - k if backward else start[:many] + k
            known = at + 1 if backward else at - 1
            out[at] = total[known] + discount * out[known]
        return out


def request_codes(decision_id: NDArray[Any]) -> NDArray[np.int64]:
    """Number of each decision's request, int64, shape (n,).

    Args:
        decision_id: ``request_id#position``, str objects, shape (n,).
    """
    names = pc.replace_substring_regex(pa.array(decision_id, pa.string()), "#[^#]*$", "")
    codes: NDArray[np.int64] = pc.dictionary_encode(names).indices.to_numpy().astype(np.int64)
    return codes
