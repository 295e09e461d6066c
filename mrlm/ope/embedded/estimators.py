"""MIPS, its self-normalised form and OffCEM: estimators over marginal weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.embedded.marginal_weights import CLUSTERS, MarginalWeight
from mrlm.ope.scores import Scores, one_ratio


@dataclass(frozen=True)
class EmbeddedProperties:
    """What holds for an estimator over known cluster weights; the conformance test asserts each.

    Attributes:
        unbiased_without_direct_effect: unbiased where the reward depends on the item through its
            cluster only.
        unbiased_with_cluster_effect_model: unbiased where q is wrong by a constant of the cluster.
        shift_equivariant: adding c to the rewards, and to q, adds c.
        own_item_clusters: name of the estimator it equals where every item is its own cluster.
    """

    unbiased_without_direct_effect: bool
    unbiased_with_cluster_effect_model: bool
    shift_equivariant: bool
    own_item_clusters: str


@runtime_checkable
class EmbeddedEstimator(Protocol):
    """A pure function from logged rounds and their marginal weights to round scores."""

    @property
    def name(self) -> str:
        """Name in the registry and in tables."""
        ...

    @property
    def needs_q(self) -> bool:
        """Whether it needs predicted rewards of every candidate."""
        ...

    @property
    def properties(self) -> EmbeddedProperties:
        """What holds for it."""
        ...

    def __call__(self, batch: EvaluationBatch, marginal: MarginalWeight) -> Scores:
        """Scores of every round and objective, labelled as covering their own target only.

        Raises:
            ValueError: the weights are not of these rounds, or predictions are missing.
        """
        ...


@dataclass(frozen=True)
class MIPS:
    """Mean of marginal weight times reward.

    Saito and Joachims (2022), equation 8. Biased for the policy's value by the direct effect of
    items on the reward past their cluster, so its own interval is never certified; see
    ``bounded_scores``.
    """

    name: ClassVar[str] = "mips"
    needs_q: ClassVar[bool] = False
    properties: ClassVar[EmbeddedProperties] = EmbeddedProperties(
        unbiased_without_direct_effect=True,
        unbiased_with_cluster_effect_model=False,
        shift_equivariant=False,
        own_item_clusters="ips",
    )

    def __call__(self, batch: EvaluationBatch, marginal: MarginalWeight) -> Scores:
        """Scores of every round and objective."""
        numerator = _weight(batch, marginal) * batch.rewards
        return _scores(self.name, batch, marginal, numerator, np.ones_like(numerator))


@dataclass(frozen=True)
class SNMIPS:
    """Rewards averaged with the marginal weights: the ratio form of MIPS."""

    name: ClassVar[str] = "snmips"
    needs_q: ClassVar[bool] = False
    properties: ClassVar[EmbeddedProperties] = EmbeddedProperties(
        unbiased_without_direct_effect=False,
        unbiased_with_cluster_effect_model=False,
        shift_equivariant=True,
        own_item_clusters="snips",
    )

    def __call__(self, batch: EvaluationBatch, marginal: MarginalWeight) -> Scores:
        """Scores of every round and objective."""
        denominator = np.broadcast_to(_weight(batch, marginal), batch.rewards.shape)
        return _scores(self.name, batch, marginal, denominator * batch.rewards, denominator)


@dataclass(frozen=True)
class OffCEM:
    """The direct method plus the marginally weighted mean of its residuals.

    Saito, Ren and Joachims (2023), equation 6: the weights mend the cluster's effect, the model the
    differences within a cluster. Unbiased where q has those differences right. Made for known
    clusters: where codes are drawn at random, differences of q between items are no differences
    within a code, and it is far off.
    """

    name: ClassVar[str] = "offcem"
    needs_q: ClassVar[bool] = True
    properties: ClassVar[EmbeddedProperties] = EmbeddedProperties(
        unbiased_without_direct_effect=False,
        unbiased_with_cluster_effect_model=True,
        shift_equivariant=True,
        own_item_clusters="dr",
    )

    def __call__(self, batch: EvaluationBatch, marginal: MarginalWeight) -> Scores:
        """Scores of every round and objective.

        Raises:
            ValueError: the batch has no predictions.
        """
        residual = batch.rewards - batch.predictions[batch.shown]
        numerator = batch.direct + _weight(batch, marginal) * residual
        return _scores(self.name, batch, marginal, numerator, np.ones_like(numerator))


EMBEDDED_ESTIMATORS: dict[str, EmbeddedEstimator] = {
    e.name: e for e in (MIPS(), SNMIPS(), OffCEM())
}


def _weight(batch: EvaluationBatch, marginal: MarginalWeight) -> NDArray[np.float64]:
    """The marginal weights as a column, shape (n, 1)."""
    if marginal.weight.shape != (len(batch),):
        raise ValueError(
            f"marginal weights must be of the batch's {len(batch)} rounds; got "
            f"{marginal.weight.shape}"
        )
    return marginal.weight[:, None]


def _scores(
    name: str,
    batch: EvaluationBatch,
    marginal: MarginalWeight,
    numerator: NDArray[np.float64],
    denominator: NDArray[np.float64],
) -> Scores:
    """Scores whose diagnostics speak of the marginal weights, and whose name says what these are.

    States of different weights then refuse to merge.
    """
    if marginal.source != CLUSTERS:
        name = f"{name} ({marginal.source})"
    if marginal.estimated:
        name = f"{name} (estimated weights)"
    scores = one_ratio(name, False, batch, numerator, denominator)
    square = marginal.expected_square
    return replace(
        scores,
        weight=marginal.weight[:, None],
        unsupported=marginal.unsupported[:, None],
        expected_square=(np.full(len(batch), np.nan) if square is None else square)[:, None],
    )
