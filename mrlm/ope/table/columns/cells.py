"""What the cells of a column hold: names or numbers, checked and as NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mrlm.ope.checks import RowError


def names_of(array: pa.Array, name: str, rows: NDArray[np.int64]) -> NDArray[Any]:
    """A column of integers or texts as int64, uint64 (of that type only) or object, shape (n,).

    Raises:
        ValueError: a value is missing, or the column holds something else.
    """
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    check_present(array, name, rows)
    check_names(array.type, name)
    if pa.types.is_uint64(array.type):
        return np.asarray(array.to_numpy(zero_copy_only=False))
    if pa.types.is_integer(array.type):
        return np.asarray(array.cast(pa.int64()).to_numpy(zero_copy_only=False))
    return np.asarray(array.to_numpy(zero_copy_only=False), object)


def check_present(array: pa.Array, name: str, rows: NDArray[np.int64]) -> None:
    """Check that no value of a column is missing, given the numbers of its rows, shape (n,).

    Raises:
        RowError: one is.
    """
    missing = array.is_null().to_numpy(zero_copy_only=False)
    if missing.any():
        raise RowError(
            int(rows[np.flatnonzero(missing)[0]]),
            f"{name} is missing; fill it or leave such rows out "
            f"({int(missing.sum())} such rows here, counting from 0)",
        )


def check_names(kind: pa.DataType, name: str) -> None:
    """Check that a column of this type holds integers or texts.

    Raises:
        ValueError: it holds something else.
    """
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if not text and not pa.types.is_integer(kind):
        raise ValueError(f"column {name} must be integers or text; it is {kind}: cast it")


def numbers_of(array: pa.Array, name: str) -> NDArray[np.float64]:
    """A column of numbers as float64, shape (n,), NaN where missing.

    Raises:
        ValueError: the column holds something else.
    """
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    check_numbers(array.type, name)
    numbers = array.cast(pa.int8()) if pa.types.is_boolean(array.type) else array
    # An integer beyond 2^53 loses digits that no estimate has.
    filled = pc.fill_null(pc.cast(numbers, pa.float64(), safe=False), float("nan"))
    return np.asarray(filled.to_numpy(zero_copy_only=False))


def check_numbers(kind: pa.DataType, name: str) -> None:
    """Check that a column of this type holds numbers, or nothing.

    Raises:
        ValueError: it holds something else.
    """
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    known = pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    if not known and not pa.types.is_decimal(kind) and not pa.types.is_null(kind):
        raise ValueError(f"column {name} must be numbers; it is {kind}: cast it")
