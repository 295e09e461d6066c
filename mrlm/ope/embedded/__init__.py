"""Off-policy evaluation by item embeddings, which enter as clusters, kernels or codes only."""

from mrlm.ope.choice.bounded import BoundedEstimate, bounded_estimates
from mrlm.ope.embedded.clusters import centres_of, cluster_items, discretise, memberships
from mrlm.ope.embedded.direct_effect import (
    assumption_bias,
    assumption_gap,
    bounded_scores,
)
from mrlm.ope.embedded.estimators import (
    EMBEDDED_ESTIMATORS,
    MIPS,
    SNMIPS,
    EmbeddedEstimator,
    EmbeddedProperties,
    OffCEM,
)
from mrlm.ope.embedded.marginal_weights import MarginalWeight, cluster_weight, kernel_weight
from mrlm.ope.embedded.posterior import posterior_weight

__all__ = [
    "EMBEDDED_ESTIMATORS",
    "MIPS",
    "SNMIPS",
    "BoundedEstimate",
    "EmbeddedEstimator",
    "EmbeddedProperties",
    "MarginalWeight",
    "OffCEM",
    "assumption_bias",
    "assumption_gap",
    "bounded_estimates",
    "bounded_scores",
    "centres_of",
    "cluster_items",
    "cluster_weight",
    "discretise",
    "kernel_weight",
    "memberships",
    "posterior_weight",
]
