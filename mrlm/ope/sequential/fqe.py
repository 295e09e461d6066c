"""The direct method of sessions, by fitted Q evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mrlm.ope.contract import Properties
from mrlm.ope.grouped.grouped import grouped_scores
from mrlm.ope.scores import Scores
from mrlm.ope.sequential.batch import SessionBatch
from mrlm.ope.sequential.steps import labelled


@dataclass(frozen=True)
class FQE:
    """Mean predicted value of the first state under the target policy.

    The direct method of sessions, with q from ``fit_q`` (Le, Voloshin and Yue, 2019). It has no
    weights and all the bias of the features: its interval covers the model's mean, not the value.

    Attributes:
        discount: the one that q was fitted with; kept for tables.
    """

    discount: float = 1.0
    name: ClassVar[str] = "fqe"
    needs_q: ClassVar[bool] = True
    assumption: ClassVar[str | None] = "the fitted q is the value of the target policy"
    properties: ClassVar[Properties] = Properties(
        unbiased=True,
        covers_policy_value=False,
        on_policy_identity=False,
        shift_equivariant=True,
        scale_equivariant=True,
        constant_reward_zero_width=False,
    )

    def __call__(self, batch: SessionBatch) -> Scores:
        """Scores of every session and objective.

        Raises:
            ValueError: the batch has no predictions.
        """
        _, v = batch.predictions
        one = np.ones(len(batch))
        start = v[batch.offsets[:-1]]
        name = labelled(self.name, self.discount)
        return grouped_scores(
            name,
            False,
            batch,
            start[:, :, None],
            one[:, None, None],
            one,
        )
