"""Rows of different length, counted out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def expand(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row of each of ``counts`` places, and the place within its row, int64, from 0."""
    row = np.repeat(np.arange(len(counts)), counts)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    return row, np.arange(len(row)) - first[row]


def edges(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Offsets of rows with these lengths, int64, shape (len(counts) + 1,)."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
