"""Feedback of the Open Bandit Pipeline, saved with ``numpy.savez``, as a table."""

from __future__ import annotations

import lzma
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mrlm.ope.table.columns.columns import TARGET
from mrlm.ope.table.files.file_error import FileError

ACTION_DIST, Q = "action_dist", "estimated_rewards_by_reg_model"
ARRAY_BYTES = 1 << 30
_ROWS_AT_ONCE, _CELLS_AT_ONCE = 1 << 14, 1 << 22
_LARGEST = 2.0**31
_NARROW = ("action", "reward", "pscore", "position")
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def obp_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The rounds of a feedback dict with the policies to evaluate.

    Read are ``action``, ``reward``, ``pscore``, ``position`` where there is one, ``action_dist`` or
    one ``action_dist_NAME`` a policy, of shape (rounds, actions[, positions]), and
    ``estimated_rewards_by_reg_model`` of the same shape where there is one.

    Raises:
        ValueError: an array is missing, of a wrong shape, or needs a pickle.
    """
    arrays = _arrays(path)
    missing = [n for n in ("action", "reward", "pscore") if n not in arrays]
    policies = [n for n in arrays if n.startswith(ACTION_DIST)]
    if missing or not policies:
        raise FileError(
            path,
            f"lacks {missing or [ACTION_DIST]}; save the logged action, reward and pscore, "
            "and each policy's probabilities as action_dist or action_dist_NAME, of shape "
            "(rounds, actions) or (rounds, actions, positions)",
        )
    n = arrays["action"].size
    for name in arrays:
        _check_shape(path, name, arrays[name], n)
    action = _whole(path, "action", arrays["action"])
    position = _whole(path, "position", arrays.get("position", np.zeros(n)))
    widest = max(math.prod(arrays[name].shape[1:]) for name in policies)
    at_once = min(_ROWS_AT_ONCE, _CELLS_AT_ONCE // max(widest, 1) + 1)
    for start in range(0, n, at_once):
        part = slice(start, min(start + at_once, n))
        yield _batch(path, arrays, policies, action[part], position[part], part)


def _batch(
    path: Path,
    arrays: Mapping[str, NDArray[Any]],
    policies: list[str],
    action: NDArray[np.int64],
    position: NDArray[np.int64],
    part: slice,
) -> pa.RecordBatch:
    row = np.arange(len(action))

    def at_position(name: str) -> NDArray[np.float64]:
        found = arrays[name][part]
        wide = found[:, :, None] if found.ndim == 2 else found
        out_of_range = (position < 0) | (position >= wide.shape[2])
        bad = out_of_range | (action < 0) | (action >= wide.shape[1])
        if bad.any():
            i = int(np.flatnonzero(bad)[0])
            raise FileError(
                path,
                f"row {part.start + i}: action {action[i]} at position {position[i]} lies "
                f"outside {name} of shape {arrays[name].shape}",
            )
        return np.asarray(wide[row, :, position], np.float64)

    columns: dict[str, NDArray[Any]] = {
        "propensity": arrays["pscore"][part].astype(np.float64),
        "reward": arrays["reward"][part].astype(np.float64),
    }
    q = at_position(Q) if Q in arrays else None
    if q is not None:
        columns["q_hat"] = q[row, action]
    for name in policies:
        ending = name[len(ACTION_DIST) :]
        target = at_position(name)
        columns[TARGET + ending] = target[row, action]
        if q is not None:
            columns["v_hat" + ending] = (target * q).sum(1)
    return pa.RecordBatch.from_pydict(columns)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays that are read, by name; their sizes and types are looked at before they are."""
    if not zipfile.is_zipfile(path):
        raise FileError(path, "not a numpy.savez archive")
    found = {}
    left = ARRAY_BYTES
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                wide = name == Q or name.startswith(ACTION_DIST)
                if not wide and name not in _NARROW:
                    continue
                left -= _size(path, archive, member, name)
                if left < 0:
                    raise FileError(
                        path,
                        f"its arrays take more than {ARRAY_BYTES >> 30} GiB: write the "
                        "probabilities of the shown items as columns of a Parquet file",
                    )
                with archive.open(member) as file:
                    found[name] = np.lib.format.read_array(file, allow_pickle=False)
    # Whoever made the bytes decides which of these it is.
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError) as error:
        raise FileError(path, f"not a whole numpy.savez archive: {error}") from None
    except (NotImplementedError, RuntimeError) as error:
        raise FileError(path, f"an archive that cannot be read: {error}") from None
    return found


def _size(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> int:
    """Bytes of an array by its header."""
    with archive.open(member) as file:
        try:
            version = np.lib.format.read_magic(file)
            read = _HEADERS[version]
            shape, _, kind = read(file)
        except (ValueError, KeyError, TypeError, SyntaxError, MemoryError, RecursionError):
            raise FileError(path, f"{name} is not an array of numpy.savez") from None
    if kind.hasobject:
        raise FileError(
            path,
            f"{name} holds objects, which can only be read as a pickle, and that can run "
            "any program; leave out what is None: numpy.savez(path, **{k: v for k, v in "
            "feedback.items() if v is not None})",
        )
    return math.prod(shape) * kind.itemsize


def _whole(path: Path, name: str, numbers: NDArray[Any]) -> NDArray[np.int64]:
    """Whole numbers as int64.

    Raises:
        ValueError: one is none, or too large.
    """
    as_float = numbers.astype(np.float64)
    bad = ~((np.abs(as_float) < _LARGEST) & (as_float == np.floor(as_float)))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise FileError(path, f"row {row}: {name} {numbers[row]} is not the number of one")
    return numbers.astype(np.int64)


def _check_shape(path: Path, name: str, array: NDArray[Any], n: int) -> None:
    wide = name == Q or name.startswith(ACTION_DIST)
    good = array.ndim in {2, 3} if wide else array.ndim == 1
    if not good or len(array) != n or array.dtype.kind not in "biuf":
        wanted = f"({n}, actions[, positions])" if wide else f"({n},)"
        raise FileError(
            path, f"{name} must be numbers of shape {wanted}; got {array.dtype} {array.shape}"
        )
