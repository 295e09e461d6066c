"""Checks of arguments, and the error that names a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class RowError(ValueError):
    """A row of a log or table is wrong.

    Attributes:
        row: its number, from 0.
        problem: what is wrong with it, and what to do.
    """

    def __init__(self, row: int, problem: str) -> None:
        super().__init__(f"row {row}: {problem}")
        self.row = row
        self.problem = problem


def check_rows(bad: np.bool_ | NDArray[np.bool_], problem: str) -> None:
    """Check that no row is bad, bool, shape (n,).

    Raises:
        RowError: one is; the first is named, and how many there are.
    """
    if bad.any():
        raise RowError(int(np.flatnonzero(bad)[0]), f"{problem} ({int(bad.sum())} such rows)")


def check_shape(name: str, array: NDArray[Any] | None, shape: tuple[int, ...]) -> None:
    """Check the shape of an array that is there.

    Raises:
        ValueError: it has another one.
    """
    if array is not None and array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}; got {array.shape}")


def check_offsets(offsets: NDArray[np.int64], total: int, rounds: str, parts: str) -> None:
    """Check that offsets cut ``total`` parts into rounds, none of which is empty.

    Raises:
        ValueError: they do not; the message names the first bad round.
    """
    if len(offsets) < 2:
        raise ValueError(f"a batch needs at least one of the {rounds}; this one is empty")
    if offsets[0] != 0 or offsets[-1] != total:
        raise ValueError(
            f"offsets of the {rounds} must run from 0 to the number of {parts}, {total}; "
            f"got {offsets[0]} to {offsets[-1]}"
        )
    bad = np.diff(offsets) <= 0
    check_rows(bad, f"one of the {rounds} has no {parts}, or the offsets decrease")


def check_between_0_and_1(name: str, value: float) -> None:
    """Check a level, an error or another share that may be neither 0 nor 1.

    Raises:
        ValueError: it is not above 0 and below 1.
    """
    if not 0 < value < 1:
        raise ValueError(f"the {name} must be between 0 and 1; got {value}")


def check_cluster(cluster: NDArray[Any]) -> None:
    """Check that users are integers or texts.

    Raises:
        ValueError: they are something else.
    """
    if cluster.dtype.kind not in "iuOUT":
        raise ValueError(f"cluster must be integers or strings; got {cluster.dtype}")


def check_objectives(objectives: Sequence[str]) -> None:
    """Check that no two objectives have one name.

    Raises:
        ValueError: two have.
    """
    if len(set(objectives)) != len(objectives):
        raise ValueError(f"objective names must differ; got {list(objectives)}")
