"""The pseudo-inverse estimator for a logger that shows uniformly random rankings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.checks import check_rows
from mrlm.ope.contract import Properties
from mrlm.ope.grouped.grouped import grouped_scores, round_sum
from mrlm.ope.scores import Scores
from mrlm.ope.slates.batch import SlateBatch
from mrlm.ope.slates.kinds import MARGINAL, require_kind
from mrlm.ope.slates.pi import ADDITIVE


@dataclass(frozen=True)
class UniformRankingPI:
    """The sum of a slate's rewards times the pseudo-inverse weight of a uniform ranking.

    Swaminathan et al. (2017): the weight is q' G^+ 1_s, with G the second moments of the slate's
    indicators. For L slots filled without repetition from M items, all rankings equally likely, G
    has three eigenvalues other than 0, and the weight is
    ``1 + M (M - 1) / (M - L) (A / L - L / M) + (M - 1) (B - A / L)``, with A the sum of the shown
    items' probabilities to be in the target's list at all and B that of their probabilities at
    their positions; the middle term is 0 where L = M. Weights can be negative.

    Attributes:
        self_normalised: divide by the mean weight instead of 1.
        assumed: the caller knows that the assumption is exactly true of this log (a simulated
            world); the interval is then labelled as one for the policy's value.
    """

    self_normalised: bool = False
    assumed: bool = False
    kinds: ClassVar[tuple[str, ...]] = (MARGINAL,)
    needs_q: ClassVar[bool] = False
    assumption: ClassVar[str | None] = ADDITIVE

    @property
    def name(self) -> str:
        """Name in the registry and in tables."""
        return "snuniform_pi" if self.self_normalised else "uniform_pi"

    @property
    def properties(self) -> Properties:
        """What holds for it under its assumption; on-policy its target is the uniform ranking."""
        return Properties.weighted(self.self_normalised, covers_policy_value=self.assumed)

    def __call__(self, batch: SlateBatch) -> Scores:
        """Scores of every slate and objective.

        Raises:
            ValueError: the propensities are not marginal, or not those of uniform rankings, or the
                inclusion probabilities are missing.
        """
        require_kind(self.name, self.kinds, batch.kind)
        if batch.inclusion is None:
            raise ValueError(
                f"{self.name} needs inclusion, the target's probability that each shown item is "
                "anywhere in the list"
            )
        weight = _weight(batch, _items(self.name, batch), batch.inclusion)
        numerator = weight[:, None] * round_sum(batch.rewards, batch.offsets)
        below = weight if self.self_normalised else np.ones(len(batch))
        return grouped_scores(
            self.name, self.assumed, batch, numerator[:, :, None], below[:, None, None], weight
        )


def _items(estimator: str, batch: SlateBatch) -> NDArray[np.float64]:
    """Number of items that each slate was drawn from, shape (n,)."""
    first = batch.propensity[batch.offsets[:-1]]
    items = np.rint(1 / first)
    even = np.abs(batch.propensity * np.repeat(items, batch.lengths) - 1) < 1e-6
    check_rows(
        ~even | np.repeat(items < batch.lengths, batch.lengths),
        f"{estimator} needs a logger of uniformly random rankings, propensity 1 / M in every slot "
        "of a slate drawn from M items",
    )
    return items


def _weight(
    batch: SlateBatch, items: NDArray[np.float64], inclusion: NDArray[np.float64]
) -> NDArray[np.float64]:
    slots = batch.lengths
    anywhere = round_sum(inclusion, batch.offsets) / slots
    placed = round_sum(batch.target, batch.offsets)
    left = items - slots
    spread = np.zeros(len(batch))
    np.divide(items * (items - 1), left, out=spread, where=left > 0)
    weight: NDArray[np.float64] = (
        1 + spread * (anywhere - slots / items) + (items - 1) * (placed - anywhere)
    )
    return weight
