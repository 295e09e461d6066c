"""The pseudo-inverse estimator of slates, with control variates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import rows
from mrlm.ope.contract import Properties
from mrlm.ope.grouped.grouped import grouped_scores, round_sum
from mrlm.ope.scores import Scores
from mrlm.ope.slates.batch import SlateBatch
from mrlm.ope.slates.kinds import INDEPENDENT, require_kind

ADDITIVE = (
    "the expected reward of a slate is a sum over slots of unknown effects of the item in the slot"
)


@dataclass(frozen=True)
class PI:
    """The sum of a slate's rewards times ``1 - L + sum_k w_k`` for L slots of weights w_k.

    Swaminathan et al. (2017), where the slots are drawn independently of one another given the
    context (their product policies): the pseudo-inverse has this closed form. The rewards may be
    seen anywhere in the slate. Weights can be negative. For rankings without repetition from a
    uniform logger see ``UniformRankingPI``.

    Attributes:
        self_normalised: divide by the mean weight instead of 1; Vlassis et al. (2021).
        assumed: the caller knows that the assumption is exactly true of this log (a simulated
            world); the interval is then labelled as one for the policy's value.
    """

    self_normalised: bool = False
    assumed: bool = False
    kinds: ClassVar[tuple[str, ...]] = (INDEPENDENT,)
    needs_q: ClassVar[bool] = False
    assumption: ClassVar[str | None] = ADDITIVE

    @property
    def name(self) -> str:
        """Name in the registry and in tables."""
        return "snpi" if self.self_normalised else "pi"

    @property
    def properties(self) -> Properties:
        """What holds for it under its assumption."""
        return Properties.weighted(self.self_normalised, covers_policy_value=self.assumed)

    def __call__(self, batch: SlateBatch) -> Scores:
        """Scores of every slate and objective.

        Raises:
            ValueError: the slots are not drawn independently.
        """
        require_kind(self.name, self.kinds, batch.kind)
        weight = pi_weight(batch)
        numerator = weight[:, None] * round_sum(batch.rewards, batch.offsets)
        below = weight if self.self_normalised else np.ones(len(batch))
        return grouped_scores(
            self.name, self.assumed, batch, numerator[:, :, None], below[:, None, None], weight
        )


@dataclass(frozen=True)
class PIControlVariates:
    """PI less fitted multiples of what the slots' weights miss of their mean, 1.

    Vlassis et al. (2021): ``reward * G - sum_k beta_k (w_k - 1)``, G the weight of PI. It stays
    unbiased for coefficients from other users; ``fit_control_variates`` gives those of least
    variance. Fitted on the same log, their error does not move the estimate to first order, because
    each w_k - 1 has mean 0.

    Attributes:
        coefficients: float64, shape (K, m), of position k and objective; deeper slots have none.
        assumed: as for ``PI``.
    """

    coefficients: NDArray[np.float64]
    assumed: bool = False
    name: ClassVar[str] = "pi_cv"
    kinds: ClassVar[tuple[str, ...]] = (INDEPENDENT,)
    needs_q: ClassVar[bool] = False
    assumption: ClassVar[str | None] = ADDITIVE

    @property
    def properties(self) -> Properties:
        """What holds for it under its assumption."""
        return Properties(
            unbiased=True,
            covers_policy_value=self.assumed,
            on_policy_identity=True,
            shift_equivariant=False,
            scale_equivariant=False,
            constant_reward_zero_width=False,
        )

    def __call__(self, batch: SlateBatch) -> Scores:
        """Scores of every slate and objective.

        Raises:
            ValueError: the slots are not drawn independently.
        """
        require_kind(self.name, self.kinds, batch.kind)
        weight = pi_weight(batch)
        variates = _variates(batch, len(self.coefficients))
        numerator = weight[:, None] * round_sum(batch.rewards, batch.offsets)
        numerator = numerator - variates @ self.coefficients
        return grouped_scores(
            self.name, self.assumed, batch, numerator[:, :, None], np.ones((1, 1, 1)), weight
        )


def fit_control_variates(
    batch: SlateBatch, positions: int | None = None, assumed: bool = False
) -> PIControlVariates:
    """The estimator with the coefficients of least variance on this log.

    Least squares of the score of PI on w_k - 1 and a constant, per objective, over the slates whose
    rewards are known; Vlassis et al. (2021), optimal control variates.

    Args:
        batch: slates, of other users or nights than those to be judged where exactness matters.
        positions: how many positions have a variate of their own; default the longest slate's.
        assumed: as for ``PI``.

    Raises:
        ValueError: the slots are not drawn independently.
    """
    require_kind(PIControlVariates.name, PIControlVariates.kinds, batch.kind)
    k = int(batch.lengths.max()) if positions is None else positions
    variates = _variates(batch, k)
    score = pi_weight(batch)[:, None] * round_sum(batch.rewards, batch.offsets)
    out = np.zeros((k, len(batch.objectives)))
    for j in range(len(batch.objectives)):
        known = batch.used[:, j]
        if known.sum() > k + 1:
            x = variates[known] - variates[known].mean(0)
            y = score[known, j] - score[known, j].mean()
            out[:, j] = np.linalg.lstsq(x.T @ x, x.T @ y, rcond=1e-12)[0]
    return PIControlVariates(out, assumed)


def pi_weight(batch: SlateBatch) -> NDArray[np.float64]:
    """Weight ``1 - L + sum of the slots' weights`` of each slate, shape (n,)."""
    return 1.0 - batch.lengths + round_sum(batch.ratio, batch.offsets)


def _variates(batch: SlateBatch, positions: int) -> NDArray[np.float64]:
    """w_k - 1 of the first positions, 0 where a slate is shorter, shape (n, positions)."""
    out = np.zeros((len(batch), positions))
    slate = rows(batch.offsets)
    place = np.arange(len(slate)) - batch.offsets[:-1][slate]
    kept = place < positions
    out[slate[kept], place[kept]] = batch.ratio[kept] - 1.0
    return out
