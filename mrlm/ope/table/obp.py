"""Feedback of the Open Bandit Pipeline, saved with ``numpy.savez``, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mrlm.ope.table.columns import TARGET

ACTION_DIST, Q = "action_dist", "estimated_rewards_by_reg_model"
_ROWS_AT_ONCE = 1 << 14


def obp_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The rounds of a feedback dict with the policies to evaluate.

    Read are ``action``, ``reward``, ``pscore``, ``position`` where there is one, ``action_dist`` or
    one ``action_dist_NAME`` a policy, of shape (rounds, actions[, positions]), and
    ``estimated_rewards_by_reg_model`` of the same shape where there is one.

    Raises:
        ValueError: an array is missing, of a wrong shape, or needs a pickle.
    """
    try:
        archive = np.load(path, allow_pickle=False)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path}: not a numpy.savez archive: {error}") from None
    with archive:
        arrays = {
            name: _read(path, archive, name)
            for name in archive.files
            if name in {"action", "reward", "pscore", "position", Q} or name.startswith(ACTION_DIST)
        }
    missing = [n for n in ("action", "reward", "pscore") if n not in arrays]
    policies = [n for n in arrays if n.startswith(ACTION_DIST)]
    if missing or not policies:
        raise ValueError(
            f"{path}: lacks {missing or [ACTION_DIST]}; save the logged action, reward and pscore, "
            "and each policy's probabilities as action_dist or action_dist_NAME, of shape "
            "(rounds, actions) or (rounds, actions, positions)"
        )
    n = len(arrays["action"])
    for name in arrays:
        _check_shape(path, name, arrays[name], n)
    action = arrays["action"].astype(np.int64)
    position = arrays.get("position", np.zeros(n)).astype(np.int64)
    for start in range(0, n, _ROWS_AT_ONCE):
        part = slice(start, min(start + _ROWS_AT_ONCE, n))
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
            raise ValueError(
                f"{path}: row {part.start + i}: action {action[i]} at position {position[i]} lies "
                f"outside {name} of shape {arrays[name].shape}"
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


def _read(path: Path, archive: Any, name: str) -> NDArray[Any]:
    try:
        return np.asarray(archive[name])
    except ValueError:
        raise ValueError(
            f"{path}: {name} can only be read as a pickle, which can run any program; leave out "
            "what is None: numpy.savez(path, **{k: v for k, v in feedback.items() if v is not "
            "None})"
        ) from None


def _check_shape(path: Path, name: str, array: NDArray[Any], n: int) -> None:
    wide = name == Q or name.startswith(ACTION_DIST)
    good = array.ndim in {2, 3} if wide else array.ndim == 1
    if not good or len(array) != n or array.dtype.kind not in "biuf":
        wanted = f"({n}, actions[, positions])" if wide else f"({n},)"
        raise ValueError(
            f"{path}: {name} must be numbers of shape {wanted}; got {array.dtype} {array.shape}"
        )
