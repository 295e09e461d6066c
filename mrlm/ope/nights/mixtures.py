"""Logs that several loggers made: a promotion at midnight, two arms of a test.

Every round has the propensity of the logger that made it, so any estimator is unbiased on the
pooled log. It may be narrower: where each logger's probability of the shown item is known, by the
propensities of the mixture; otherwise by weighing the loggers' own estimates by their precision.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.users import group
from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.checks import RowError
from mrlm.ope.intervals.influence import covariance
from mrlm.ope.nights.logger_precision import LEAST_VARIANCE, precision_by_logger
from mrlm.ope.scores import Scores
from mrlm.ope.state.state import EvaluationState
from mrlm.ope.state.user_sums import counts, sums

# Below so many rewards other than 0 a variance is too uncertain to weigh by.
_LEAST_REWARDS = 30


def balanced(
    batch: EvaluationBatch, logger: NDArray[Any], propensities: NDArray[np.float64]
) -> EvaluationBatch:
    """The batch with the propensities of the mixture of its loggers.

    ``p(a | x) = sum_k (n_k / n) p_k(a | x)`` with n_k the rounds of logger k: the balanced
    estimator of Agarwal, Basu, Schnabel and Joachims (KDD 2017), section 5, whose variance is never
    above that of the pooled log, and which needs the target's support from some logger only. The
    loggers must have seen rounds of the same kind: which of them made a round may not depend on
    the round. What the mixture never shows is unknown here.

    Args:
        batch: n rounds.
        logger: int64 or str, shape (n,), which logger made each round; K different ones.
        propensities: float64, shape (n, K), each logger's probability of the shown item, the
            loggers in ascending order of their names.

    Raises:
        ValueError: shapes differ, a probability is out of range, or one of a round's own logger is
            not its propensity.
    """
    _, code = group(_checked(len(batch), logger))
    loggers = int(code.max()) + 1
    if propensities.shape != (len(batch), loggers):
        raise ValueError(
            f"propensities must have shape ({len(batch)}, {loggers}), one column a logger; got "
            f"{propensities.shape}"
        )
    if not ((propensities >= 0) & (propensities <= 1)).all():
        raise ValueError("every logger's probability of the shown item must be in [0, 1]")
    own = propensities[np.arange(len(batch)), code]
    wrong = np.flatnonzero(~np.isclose(own, batch.propensity, rtol=1e-6, atol=0))
    if len(wrong):
        row = int(wrong[0])
        raise RowError(
            row,
            f"its logger's probability {own[row]:g} is not its propensity "
            f"{batch.propensity[row]:g}; are the columns in ascending order of the loggers?",
        )
    mixture = propensities @ (np.bincount(code) / len(batch))
    return replace(batch, propensity=mixture, candidate_propensity=None)


def stratified(scores: Scores, logger: NDArray[Any], share: NDArray[np.float64]) -> Scores:
    """Scores of a weighted mean of the loggers' own estimates.

    The estimate of each logger is from its own rounds; the shares are constants. Users who came to
    several loggers stay one user each in every interval. Choose the shares once, on the whole log:
    states with different shares are different estimates and do not add up. Certification weighs
    each round by what its logger's estimate counts, so a logger of few rounds and a large share is
    refused.

    Args:
        scores: n rounds with T ratio terms.
        logger: int64 or str, shape (n,); K different ones.
        share: float64, shape (K,), weight of each logger in ascending order, with sum 1.

    Returns:
        Scores of K T terms.

    Raises:
        ValueError: shapes differ, a share is negative, or the shares do not sum to 1.
    """
    _, code = group(_checked(len(scores), logger))
    fits = share.shape == (int(code.max()) + 1,) and bool((share >= 0).all())
    if not fits or not np.isclose(share.sum(), 1):
        raise ValueError(
            f"{int(code.max()) + 1} shares of at least 0 with sum 1 are needed; got {share}"
        )
    return _in_strata(scores, code, share)


def variance_weighted(scores: Scores, logger: NDArray[Any], objective: str) -> Scores:
    """The loggers' own estimates, weighed by the inverse of their variances.

    Agarwal et al. (2017), section 6, weigh by estimated variances of the same rounds, which biases:
    where few rewards were seen both the value and its variance are low. Here each half of the users
    is weighed by the variances of the other half, so the estimate keeps the expectation of the
    pooled one. A logger whose variance cannot be told from a half, for it shows fewer than 30
    rewards other than 0, is given that of the pooled rounds. Certification weighs each round by
    what its logger's estimate counts. Shares are chosen on the whole log: states of batches that
    chose their own do not add up.

    Args:
        scores: n rounds of one estimate or paired difference.
        logger: int64 or str, shape (n,), which logger made each round.
        objective: whose variance decides; the weights are the same for all objectives.

    Returns:
        Scores of two terms for every one and logger; the same scores where there is one logger, or
        where half of the users has no known reward of an objective by some logger.

    Raises:
        ValueError: shapes differ, or there is no such objective.
    """
    _, code = group(_checked(len(scores), logger))
    if objective not in scores.objectives:
        raise ValueError(f"no objective {objective!r} among {list(scores.objectives)}")
    loggers, j = int(code.max()) + 1, scores.objectives.index(objective)
    half = group(scores.cluster)[1] % 2
    strata = half * loggers + code
    known = counts(strata, scores.used, 2 * loggers)
    if loggers == 1 or not known.all():
        # An estimate of no rounds has no value.
        return scores
    seen = known[:, j].astype(np.float64).reshape(2, loggers)
    precision = 1 / np.stack([_variance(scores, strata, seen, h, j) for h in (0, 1)])
    # Each half takes the weights that the other one found.
    weight = (precision / precision.sum(1, keepdims=True))[::-1]
    size = seen.sum(1, keepdims=True) / seen.sum()
    return _in_strata(scores, strata, (weight * size).ravel())


def divergence_weighted(
    scores: Scores, logger: NDArray[Any], divergence: NDArray[np.float64]
) -> Scores:
    """The loggers' own estimates, weighed by how far the judged pair lies from each logger.

    Where rewards are alike, an estimate's variance grows with the mean of the divergence
    ``sum_a (p(a) - q(a))^2 / logger(a)``, that of the rewards' coefficients (section 6 of Agarwal
    et al. 2017 weighs by that of the rewards themselves). It is known before anything is shown. So
    the shares are constants, the estimate keeps the expectation of the pooled one, and a narrow
    logger is not believed because by luck no large weight met a reward, which variances that are
    told by rewards (``variance_weighted``) cannot see.

    Args:
        scores: n rounds of one paired difference of p and q.
        logger: int64 or str, shape (n,), which logger made each round.
        divergence: float64, shape (n,), of each round, 0 or more; ``divergence`` gives it.

    Returns:
        Scores of a term for every one and logger; the same scores where there is one logger, p and
        q are the same on all rounds, or some logger has no known reward of an objective.

    Raises:
        ValueError: shapes differ.
    """
    _, code = group(_checked(len(scores), logger))
    loggers = int(code.max()) + 1
    if loggers == 1 or not (divergence > 0).any() or not counts(code, scores.used, loggers).all():
        return scores
    precision = precision_by_logger(logger, divergence)
    return _in_strata(scores, code, precision / precision.sum())


def divergence(
    batch: EvaluationBatch,
    other: NDArray[np.float64],
    logger: NDArray[np.float64] | None = None,
) -> NDArray[np.float64] | None:
    """``sum_a (p(a) - q(a))^2 / logger(a)`` of each round, shape (n,); None where it is not known.

    Args:
        batch: n rounds with N candidates, and p for target.
        other: q, probability of every candidate, shape (N,).
        logger: probability of every candidate under one that might show them, shape (N,); None:
            under those that did.
    """
    logged = batch.candidate_propensity if logger is None else logger
    if logged is None or not (logged > 0).all():
        return None
    apart: NDArray[np.float64] = (batch.target - other) ** 2 / logged
    return np.add.reduceat(apart, batch.offsets[:-1])


def _variance(
    scores: Scores, strata: NDArray[np.int64], seen: NDArray[np.float64], half: int, j: int
) -> NDArray[np.float64]:
    """Variance of each logger's estimate from one half of the users, float64, shape (K,)."""
    loggers = seen.shape[1]
    rows = seen[half]
    found: NDArray[np.float64] = np.empty(loggers)
    for k in range(loggers):
        state = EvaluationState.of(scores.take(strata == half * loggers + k))
        told = int((state.nonzero[:, j].sum(0)).min()) >= _LEAST_REWARDS
        found[k] = covariance(state)[j, j] * rows[k] if told else np.nan
    whole = EvaluationState.of(scores.take(strata // loggers == half))
    pooled = float(covariance(whole)[j, j]) * rows.sum()
    if not pooled > 0:
        found[:] = 1 / rows
        return found
    found[~np.isfinite(found)] = pooled
    np.maximum(found, LEAST_VARIANCE * pooled, out=found)
    found /= rows
    return found


def _in_strata(scores: Scores, code: NDArray[np.int64], share: NDArray[np.float64]) -> Scores:
    """Scores whose terms are those of every stratum, signed with its share."""
    n, m, terms = scores.numerator.shape
    inside = code[:, None] == np.arange(len(share))
    shape = (n, m, len(share) * terms)
    spread = {
        name: (getattr(scores, name)[:, :, None, :] * inside[:, None, :, None]).reshape(shape)
        for name in ("numerator", "denominator")
    }
    signs = (share[:, None] * scores.signs).ravel()
    return replace(
        scores,
        estimator=f"{scores.estimator} (stratified)",
        signs=signs,
        share=_shares(scores, code, share),
        **spread,
    )


def _shares(
    scores: Scores, code: NDArray[np.int64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Shares of the rounds with which those of each stratum add up to its own, (n, m, P)."""
    current = np.where(scores.used[:, :, None], scores.shares, 0.0)
    total = sums(code, current, len(share))
    factor = np.zeros(total.shape)
    np.divide(share[:, None, None] * total.sum(0), total, out=factor, where=total > 0)
    spread: NDArray[np.float64] = current * factor[code]
    return spread


def _checked(n: int, logger: NDArray[Any]) -> NDArray[Any]:
    if logger.shape != (n,) or n == 0:
        raise ValueError(f"logger must have shape ({n},) and a round; got {logger.shape}")
    return logger
