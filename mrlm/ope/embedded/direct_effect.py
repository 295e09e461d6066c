"""The assumption of no direct effect: its bias estimated, or bounded and put into the interval."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.choice.bounded import between
from mrlm.ope.difference import difference
from mrlm.ope.embedded.estimators import MIPS, OffCEM
from mrlm.ope.embedded.marginal_weights import cluster_mass
from mrlm.ope.intervals import Estimate, estimates
from mrlm.ope.scores import Scores
from mrlm.ope.state.state import EvaluationState


def assumption_bias(embedded: Scores, unbiased: Scores, level: float = 0.95) -> dict[str, Estimate]:
    """The bias of an embedded estimate, by objective: its paired difference to an unbiased one.

    The second scores are those of IPS or DR on the same rounds. An interval that excludes 0 refutes
    the assumption. One that holds 0 does not prove it: the interval's width is the bias that could
    not have been seen. (Adding that width to the embedded interval would give back the interval of
    the unbiased estimator, so only a bound from elsewhere, ``bounded_scores``, can certify.)

    Raises:
        ValueError: the scores are not of the same rounds, or the second cover no policy's value.
    """
    if not unbiased.covers_policy_value:
        raise ValueError(
            f"{unbiased.estimator} does not cover the policy's value itself; give the scores of "
            "ips or dr"
        )
    paired = replace(difference(embedded, unbiased), covers_policy_value=True)
    return estimates(EvaluationState.of(paired), level)


def assumption_gap(batch: EvaluationBatch, code: NDArray[np.int64]) -> NDArray[np.float64]:
    """Most that one unit of direct effect can move each round's expected score, shape (n,).

    ``sum_a |target(a) - logging(a) w(e_a)|``: the expectation of MIPS misses the value by
    ``sum_a (target(a) - logging(a) w(e_a)) h(a)`` where the reward is ``g(x, e_a) + h(x, a)``
    (Saito and Joachims, 2022, theorem 3.5, written out for known clusters). 0 where the target is
    the logger within every cluster.

    Args:
        batch: n rounds with N candidates and their logging propensities.
        code: int64, shape (N,), cluster of each candidate.

    Raises:
        ValueError: the shapes differ, or a candidate has no logging propensity.
    """
    mass = cluster_mass(batch, code)
    weight = np.divide(
        mass.target, mass.logging, out=np.zeros_like(mass.target), where=mass.logging > 0
    )
    logged = batch.candidate_propensity
    assert logged is not None  # noqa: S101 (cluster_mass raises otherwise)
    off = np.abs(batch.target - logged * weight[mass.pair])
    gap: NDArray[np.float64] = np.add.reduceat(off, batch.offsets[:-1])
    return gap


def bounded_scores(
    scores: Scores, gap: NDArray[np.float64], direct_effect: NDArray[np.float64]
) -> tuple[Scores, Scores]:
    """Scores of the lowest and of the highest value that a bound on direct effects allows.

    The lower end of the interval of the first, and the upper end of that of the second, hold the
    policy's value between them at the interval's level.

    Args:
        scores: of MIPS or OffCEM over known cluster weights.
        gap: float64, shape (n,), from ``assumption_gap``.
        direct_effect: float64, shape (m,), by objective: the expected reward of every item (for
            OffCEM: of reward minus q) is within this of one value common to its cluster, in every
            context; 0 where the cluster is known to be all that matters. It comes from knowledge
            or an experiment, never from these rounds.

    Raises:
        ValueError: the scores are of another estimator or of weights that are no clusters' or are
            estimated, shapes differ, or a bound is negative.
    """
    if scores.estimator not in (MIPS.name, OffCEM.name):
        raise ValueError(
            f"the bound holds for mips and offcem over known clusters; got {scores.estimator}"
        )
    if gap.shape != (len(scores),) or direct_effect.shape != (len(scores.objectives),):
        raise ValueError(
            f"gap must have shape ({len(scores)},) and direct_effect ({len(scores.objectives)},); "
            f"got {gap.shape} and {direct_effect.shape}"
        )
    if not (direct_effect >= 0).all():
        raise ValueError(f"a bound on direct effects is at least 0; got {direct_effect.tolist()}")
    move = np.outer(gap, direct_effect)
    return between(scores, -move, move)
