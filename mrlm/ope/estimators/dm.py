"""The direct method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mrlm.ope.contract import Properties, ratio_scores
from mrlm.ope.rounds import Rounds
from mrlm.ope.scores import Scores


@dataclass(frozen=True)
class DM:
    """Mean prediction of the reward model under the target policy.

    It has no importance weights and all the bias of the model: its interval covers the model's
    mean, not the policy's value. Rounds of unknown reward are left out, as for the others, so that
    all estimators speak of the same rounds.
    """

    name: ClassVar[str] = "dm"
    needs_q: ClassVar[bool] = True
    properties: ClassVar[Properties] = Properties(
        unbiased=False,
        covers_policy_value=False,
        on_policy_identity=False,
        shift_equivariant=True,
        scale_equivariant=True,
        constant_reward_zero_width=False,
    )

    def __call__(self, batch: Rounds) -> Scores:
        """Scores of every round and objective.

        Raises:
            ValueError: the batch has no predictions.
        """
        numerator = batch.direct
        return ratio_scores(self, batch, numerator)
