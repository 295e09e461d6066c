"""SlateBatch: logged lists as a slate estimator sees them, checked once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import gather
from mrlm.ope.checks import check_cluster, check_objectives, check_offsets, check_rows, check_shape
from mrlm.ope.grouped.grouped import all_known, any_nonzero
from mrlm.ope.grouped.log_weights import log_ratio
from mrlm.ope.slates.kinds import CONDITIONAL, EXPOSURE, SLATE, WHAT_TO_LOG


@dataclass(frozen=True)
class SlateBatch:
    """n logged slates with S shown slots in all, m objectives, and one target policy.

    The value of a policy is the expected sum of the rewards of a slate's slots, per slate.

    Attributes:
        cluster: user of each slate, int64 or str, shape (n,): the unit of independence.
        offsets: int64, shape (n + 1,), offsets of the slates, their slots from the top down; none
            is empty.
        propensity: float64, shape (S,), in (0, 1], of the logger; what it is says ``kind``.
        target: float64, shape (S,), the same probability under the target policy. For kind
            ``slate`` both are the same in all slots of a slate.
        rewards: float64, shape (S, m), of each slot; NaN where unknown, and the slate is then not
            used for that objective.
        objectives: m names.
        kind: what the probabilities are: ``conditional`` on the items above, ``marginal`` of the
            item at its position, of the whole ``slate``, ``independent`` where all slots are drawn
            independently of one another given the context, or ``exposure``, the expected
            examination of the item (see ``expected_examination``), which may exceed 1.
        q: float64, shape (S, m), predicted sum of the rewards of this slot and those below it under
            the target policy, given the shown item and those above it. The model must not have
            been fitted on these users' rewards.
        v: float64, shape (S, m), expectation of q over the target's choice in this slot.
        examination: float64, shape (S,), in (0, 1], probability that the user looks at the slot;
            needed with kind ``exposure``.
        inclusion: float64, shape (S,), in [0, 1], probability under the target policy that the
            slot's item is anywhere in the list; ``UniformRankingPI`` needs it.
        policy: name of the target policy, for tables and reasons.

    Raises:
        ValueError: shapes, ranges or kinds are wrong; the message names the first bad row.
    """

    cluster: NDArray[Any]
    offsets: NDArray[np.int64]
    propensity: NDArray[np.float64]
    target: NDArray[np.float64]
    rewards: NDArray[np.float64]
    objectives: tuple[str, ...]
    kind: str = CONDITIONAL
    q: NDArray[np.float64] | None = None
    v: NDArray[np.float64] | None = None
    examination: NDArray[np.float64] | None = None
    inclusion: NDArray[np.float64] | None = None
    policy: str = "policy"

    def __post_init__(self) -> None:
        _check_shapes(self)
        _check_values(self)

    @property
    def estimand(self) -> str:
        """The value is that of a slate."""
        return "per slate"

    def __len__(self) -> int:
        return len(self.cluster)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Slots of each slate, int64, shape (n,)."""
        return np.diff(self.offsets)

    @cached_property
    def log_ratio(self) -> NDArray[np.float64]:
        """Log of target over propensity of each slot, float64, shape (S,); -inf where 0."""
        return log_ratio(self.target, self.propensity)

    @cached_property
    def ratio(self) -> NDArray[np.float64]:
        """Target over propensity of each slot, float64, shape (S,)."""
        return self.target / self.propensity

    @cached_property
    def used(self) -> NDArray[np.bool_]:
        """Where every reward of the slate is known, bool, shape (n, m)."""
        return all_known(self.rewards, self.offsets)

    @cached_property
    def nonzero(self) -> NDArray[np.bool_]:
        """Where some reward of the slate is known and not 0, bool, shape (n, m)."""
        return any_nonzero(self.rewards, self.offsets)

    def with_target(self, target: NDArray[np.float64], policy: str) -> SlateBatch:
        """The same slates under another target policy, without the old one's q, v and inclusion."""
        return replace(self, target=target, policy=policy, q=None, v=None, inclusion=None)

    def take(self, index: NDArray[np.int64]) -> SlateBatch:
        """The slates at ``index``, in that order."""
        flat, offsets = gather(self.offsets, index)
        return replace(
            self,
            cluster=self.cluster[index],
            offsets=offsets,
            propensity=self.propensity[flat],
            target=self.target[flat],
            rewards=self.rewards[flat],
            q=None if self.q is None else self.q[flat],
            v=None if self.v is None else self.v[flat],
            examination=None if self.examination is None else self.examination[flat],
            inclusion=None if self.inclusion is None else self.inclusion[flat],
        )


def _check_shapes(b: SlateBatch) -> None:
    total, m = len(b.propensity), len(b.objectives)
    check_offsets(b.offsets, total, "slates", "slots")
    check_shape("cluster", b.cluster, (len(b.offsets) - 1,))
    check_shape("target", b.target, (total,))
    check_shape("rewards", b.rewards, (total, m))
    check_shape("q", b.q, (total, m))
    check_shape("v", b.v, (total, m))
    check_shape("examination", b.examination, (total,))
    check_shape("inclusion", b.inclusion, (total,))
    check_cluster(b.cluster)
    check_objectives(b.objectives)
    if b.kind not in WHAT_TO_LOG:
        raise ValueError(f"kind must be one of {', '.join(WHAT_TO_LOG)}; got {b.kind!r}")
    if b.kind == EXPOSURE and b.examination is None:
        raise ValueError("kind exposure needs the examination probability of every slot")


def _check_values(b: SlateBatch) -> None:
    p, t = b.propensity, b.target
    most = np.inf if b.kind == EXPOSURE else 1.0
    check_rows(
        ~((p > 0) & (p <= most) & np.isfinite(p)),
        "the propensity must be in (0, 1]; quarantine such slates",
    )
    check_rows(
        ~((t >= 0) & (t <= most + 1e-6) & np.isfinite(t)), "the target probability is not in [0, 1]"
    )
    if b.kind == SLATE:
        for name, values in (("propensity", p), ("target probability", t)):
            first = np.repeat(values[b.offsets[:-1]], b.lengths)
            check_rows(
                np.abs(values - first) > 1e-9 * first,
                f"the {name} of a whole slate differs from that of the slate's first slot",
            )
    check_rows(np.isinf(b.rewards).any(1), "a reward is infinite")
    for name, predicted in (("q", b.q), ("v", b.v)):
        if predicted is not None:
            check_rows(~np.isfinite(predicted).all(1), f"a predicted value {name} is not finite")
    if b.examination is not None:
        e = b.examination
        check_rows(~((e > 0) & (e <= 1)), "the examination probability must be in (0, 1]")
    if b.inclusion is not None:
        i = b.inclusion
        check_rows(~((i >= 0) & (i <= 1 + 1e-6)), "the inclusion probability is not in [0, 1]")
