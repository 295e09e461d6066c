"""BanditLog: logged decisions with what was shown, its propensity, and the reward vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.decisions import Decisions
from mrlm.bandit_log.objectives import Objective
from mrlm.bandit_log.own_rewards import OwnRewards
from mrlm.bandit_log.ragged import gather


@dataclass(frozen=True)
class BanditLog:
    """n logged decisions with N candidates in all and m objectives.

    Attributes:
        decisions: what the policy saw.
        decision_id: str objects, shape (n,), unique: ``request_id#position``.
        night: datetime64[D], shape (n,), the night the decision belongs to.
        session: str objects, shape (n,).
        session_step: int32, shape (n,), from 0 within the session.
        action: int64, shape (n,), place of the shown item in its candidate set.
        propensity: float64, shape (n,), probability with which the shown item was chosen, given the
            items shown above it; NaN where the log has none.
        candidate_propensity: float64, shape (N,), the same for every candidate; NaN where the log
            has none.
        policy_id: str objects, shape (n,), the policy that chose.
        objectives: m objectives, the columns of ``rewards``.
        rewards: float64, shape (n, m); NaN where unknown.
        final: bool, shape (n, m); True when no later event can change the reward.
        unknown: bool, shape (n, m); True when the reward will stay unknown although its time is
            over: an event of this decision could not be read, or its delivery was not whole. Such a
            reward is never final.
        lost: int64, shape (n, m); events of the decision's night that are known to be lost and
            belong to nobody knows which of its decisions; the same on all rows of a night. Where
            some of a night's users were read, their share of them, rounded up.
        own: what each decision brought by itself, where an objective is a return: ``rewards``,
            ``final`` and ``unknown`` count what follows then; None where none is.

    Examples:
        >>> from mrlm import latent_log
        >>> log, _ = latent_log(n_users=50, decisions_per_user=6, n_candidates=4, seed=0)
        >>> len(log), log.decisions.candidates.values.shape, log.rewards.shape
        (300, (1200,), (300, 2))
        >>> log.column("rating")
        1
        >>> len(log.on_nights(["2026-11-09"]))
        50
    """

    decisions: Decisions
    decision_id: NDArray[np.object_]
    night: NDArray[np.datetime64]
    session: NDArray[np.object_]
    session_step: NDArray[np.int32]
    action: NDArray[np.int64]
    propensity: NDArray[np.float64]
    candidate_propensity: NDArray[np.float64]
    policy_id: NDArray[np.object_]
    objectives: tuple[Objective, ...]
    rewards: NDArray[np.float64]
    final: NDArray[np.bool_]
    unknown: NDArray[np.bool_]
    lost: NDArray[np.int64]
    own: OwnRewards | None = None

    def __len__(self) -> int:
        return len(self.decision_id)

    @property
    def by_itself(self) -> OwnRewards:
        """What each decision brought by itself, whether or not an objective is a return."""
        return self.own or OwnRewards(self.rewards, self.final, self.unknown)

    @property
    def shown(self) -> NDArray[np.int64]:
        """Flat position of the shown item among all candidates, int64, shape (n,)."""
        return self.decisions.offsets[:-1] + self.action

    def column(self, name: str) -> int:
        """Column of the objective ``name`` in ``rewards``.

        Raises:
            KeyError: no such objective.
        """
        for j, objective in enumerate(self.objectives):
            if objective.name == name:
                return j
        raise KeyError(f"no objective {name!r}; there are {[o.name for o in self.objectives]}")

    def take(self, index: NDArray[np.int64]) -> BanditLog:
        """The decisions at ``index``, in that order."""
        flat, _ = gather(self.decisions.offsets, index)
        return replace(
            self,
            decisions=self.decisions.take(index),
            decision_id=self.decision_id[index],
            night=self.night[index],
            session=self.session[index],
            session_step=self.session_step[index],
            action=self.action[index],
            propensity=self.propensity[index],
            candidate_propensity=self.candidate_propensity[flat],
            policy_id=self.policy_id[index],
            rewards=self.rewards[index],
            final=self.final[index],
            unknown=self.unknown[index],
            lost=self.lost[index],
            own=None if self.own is None else self.own.take(index),
        )

    def where(self, mask: NDArray[np.bool_]) -> BanditLog:
        """The decisions where ``mask``, bool of shape (n,), is True."""
        return self.take(np.flatnonzero(mask))

    def on_nights(self, nights: Sequence[str]) -> BanditLog:
        """The decisions of these nights, given as ISO dates."""
        return self.where(np.isin(self.night, np.array(nights, "datetime64[D]")))

    @classmethod
    def concat(cls, parts: Sequence[BanditLog]) -> BanditLog:
        """All decisions of ``parts``, which share catalogue and objectives; at least one part."""
        own = [p.own for p in parts if p.own is not None]
        return cls(
            decisions=Decisions.concat([p.decisions for p in parts]),
            decision_id=np.concatenate([p.decision_id for p in parts]),
            night=np.concatenate([p.night for p in parts]),
            session=np.concatenate([p.session for p in parts]),
            session_step=np.concatenate([p.session_step for p in parts]),
            action=np.concatenate([p.action for p in parts]),
            propensity=np.concatenate([p.propensity for p in parts]),
            candidate_propensity=np.concatenate([p.candidate_propensity for p in parts]),
            policy_id=np.concatenate([p.policy_id for p in parts]),
            objectives=parts[0].objectives,
            rewards=np.concatenate([p.rewards for p in parts]),
            final=np.concatenate([p.final for p in parts]),
            unknown=np.concatenate([p.unknown for p in parts]),
            lost=np.concatenate([p.lost for p in parts]),
            own=OwnRewards.concat(own) if own else None,
        )
