"""Marginal importance weights: of the code of the shown item instead of the item itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import pieces, rows
from mrlm.ope.batch import CANDIDATES_AT_ONCE, EvaluationBatch
from mrlm.ope.checks import check_rows

CLUSTERS = "clusters"


@dataclass(frozen=True)
class MarginalWeight:
    """Marginal importance weights of n rounds.

    Attributes:
        weight: float64, shape (n,), ``p(e | x, target) / p(e | x, logger)`` at the logged code e.
        unsupported: float64, shape (n,), target mass on codes that the logger never shows.
        estimated: whether the distribution of codes or the logger's propensities were estimated.
        source: how the weights were made: ``clusters``, ``kernel``, or words.
        expected_square: float64, shape (n,), expected squared weight given the context; None where
            it is unknown.
    """

    weight: NDArray[np.float64]
    unsupported: NDArray[np.float64]
    estimated: bool
    source: str
    expected_square: NDArray[np.float64] | None = None


def cluster_weight(
    batch: EvaluationBatch, code: NDArray[np.int64], estimated: bool = False
) -> MarginalWeight:
    """Weights of known clusters: target mass over logging mass of the shown item's cluster.

    Saito and Joachims (2022), equation 9, with ``p(e | x, a)`` 1 for the item's own cluster. With
    one item a cluster these are the weights of IPS. The mean weight is 1 where the logger supports
    every cluster that the target uses.

    Args:
        batch: n rounds with N candidates and their logging propensities.
        code: int64, shape (N,), cluster of each candidate.
        estimated: whether the candidates' propensities were estimated; the weights then say so.

    Raises:
        ValueError: the shapes differ, or a candidate has no logging propensity.
    """
    check_length(code, len(batch.target), "code", "candidates")
    logging, starts = logging_propensity(batch), batch.offsets[:-1]
    same = code == np.repeat(code[batch.shown], np.diff(batch.offsets))
    target = np.add.reduceat(np.where(same, batch.target, 0.0), starts)
    logged = np.add.reduceat(np.where(same, logging, 0.0), starts)
    unsupported = np.zeros(len(batch))
    # Masses of all clusters need a sort, and only a candidate without propensity can lack support.
    if (logging <= 0).any():
        mass = cluster_mass(batch, code)
        lost = np.where(mass.logging > 0, 0.0, mass.target)
        unsupported = np.bincount(mass.row, lost, len(batch)).astype(np.float64)
    square = _expected_square(batch, code)
    return MarginalWeight(target / logged, unsupported, estimated, CLUSTERS, square)


def _expected_square(batch: EvaluationBatch, code: NDArray[np.int64]) -> NDArray[np.float64]:
    """``sum_c target(c)^2 / propensity(c)`` over the clusters of each round, shape (n,)."""
    logging = logging_propensity(batch)
    out, clusters = np.empty(len(batch)), int(code.max()) + 1
    low_code = int(code.min())
    if low_code < 0 or clusters * len(batch) > 4 * len(code):
        mass = cluster_mass(batch, code)
        square = _square_over(mass.target, mass.logging)
        return np.bincount(mass.row, square, len(batch)).astype(np.float64)
    # Few clusters: a table of rounds by clusters, in pieces, takes no sort.
    for start, stop in pieces(batch.offsets, CANDIDATES_AT_ONCE):
        low, high = int(batch.offsets[start]), int(batch.offsets[stop])
        cell = rows(batch.offsets[start : stop + 1] - low) * clusters + code[low:high]
        size = (stop - start) * clusters
        target = np.bincount(cell, batch.target[low:high], size).astype(np.float64)
        logged = np.bincount(cell, logging[low:high], size).astype(np.float64)
        out[start:stop] = _square_over(target, logged).reshape(-1, clusters).sum(1)
    return out


def _square_over(target: NDArray[np.float64], logging: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(target**2, logging, out=np.zeros_like(target), where=logging > 0)


def kernel_weight(
    batch: EvaluationBatch,
    item: NDArray[np.int64],
    membership: NDArray[np.float64],
    estimated: bool = False,
) -> MarginalWeight:
    """Weights of soft clusters: each item belongs to code c with a known share ``p(c | a)``.

    The mean over ``c ~ p(c | shown item)`` of ``p(c | x, target) / p(c | x, logger)``: Saito and
    Joachims (2022), equation 9, with the draw of the code taken out by its expectation. Shares of 0
    and 1 give ``cluster_weight``. The expected weight is 1 where the logger supports every code
    that the target uses.

    Args:
        batch: n rounds with N candidates and their logging propensities.
        item: int64, shape (N,), row of each candidate in ``membership``.
        membership: float64, shape (K, C), rows sum to 1.
        estimated: whether the candidates' propensities were estimated; the weights then say so.

    Raises:
        ValueError: shapes differ, rows do not sum to 1, or a candidate has no logging propensity.
    """
    check_length(item, len(batch.target), "item", "candidates")
    if membership.ndim != 2 or not np.allclose(membership.sum(1), 1.0, atol=1e-6):
        raise ValueError("membership must have one row an item that sums to 1")
    logging = logging_propensity(batch)
    weight, unsupported = np.empty(len(batch)), np.empty(len(batch))
    for start, stop in pieces(batch.offsets, max(1, CANDIDATES_AT_ONCE // membership.shape[1])):
        low, high = int(batch.offsets[start]), int(batch.offsets[stop])
        share = membership[item[low:high]]
        at = batch.offsets[start:stop] - low
        target = np.add.reduceat(batch.target[low:high, None] * share, at, axis=0)
        logged = np.add.reduceat(logging[low:high, None] * share, at, axis=0)
        shown = membership[item[batch.shown[start:stop]]]
        ratio = np.divide(target, logged, out=np.zeros_like(target), where=logged > 0)
        weight[start:stop] = (shown * ratio).sum(1)
        unsupported[start:stop] = np.where(logged > 0, 0.0, target).sum(1)
    return MarginalWeight(weight, unsupported, estimated, "kernel")


@dataclass(frozen=True)
class ClusterMass:
    """Mass of every cluster that occurs in a round; M pairs of round and cluster in all.

    Attributes:
        row: int64, shape (M,), the round.
        target: float64, shape (M,), target mass.
        logging: float64, shape (M,), logging mass.
        pair: int64, shape (N,), the pair of each candidate.
    """

    row: NDArray[np.int64]
    target: NDArray[np.float64]
    logging: NDArray[np.float64]
    pair: NDArray[np.int64]


def cluster_mass(batch: EvaluationBatch, code: NDArray[np.int64]) -> ClusterMass:
    """Target and logging mass of all clusters of all rounds.

    Args:
        batch: n rounds with N candidates and their logging propensities.
        code: int64, shape (N,), cluster of each candidate.

    Raises:
        ValueError: the shapes differ, or a candidate has no logging propensity.
    """
    check_length(code, len(batch.target), "code", "candidates")
    logging, row = logging_propensity(batch), rows(batch.offsets)
    order = np.lexsort((code, row))
    new = np.ones(len(order), np.bool_)
    new[1:] = (np.diff(row[order]) != 0) | (np.diff(code[order]) != 0)
    pair = np.empty(len(order), np.int64)
    pair[order] = np.cumsum(new) - 1
    return ClusterMass(
        row=row[order[new]],
        target=np.bincount(pair, batch.target).astype(np.float64),
        logging=np.bincount(pair, logging).astype(np.float64),
        pair=pair,
    )


def logging_propensity(batch: EvaluationBatch) -> NDArray[np.float64]:
    """Logging propensity of every candidate, float64, shape (N,).

    Raises:
        ValueError: one is missing, or the shown item's differs from the round's propensity.
    """
    logged = batch.candidate_propensity
    if logged is None or np.isnan(logged).any():
        raise ValueError(
            "marginal weights need the logging propensity of every candidate; log them, or "
            "estimate them (mrlm.ope.propensity.estimate_propensities) and set estimated=True"
        )
    check_rows(
        np.abs(logged[batch.shown] - batch.propensity) > 1e-6 * batch.propensity,
        "the shown item's propensity differs from its candidate propensity; both must be of the "
        "same logger",
    )
    return logged


def check_length(array: NDArray[np.int64], length: int, name: str, what: str) -> None:
    """Refuse an array that has not one entry for each of ``what``.

    Raises:
        ValueError: it has another shape.
    """
    if array.shape != (length,):
        raise ValueError(
            f"{name} must have one entry for each of {length} {what}; got {array.shape}"
        )
