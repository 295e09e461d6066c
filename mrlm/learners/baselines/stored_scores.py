"""The folder of a baseline's scorer: JSON for what it is and its items, safetensors for numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

_FORMAT = 1
_DATA, _TENSORS = "scorer.json", "scorer.safetensors"


def write_scores(
    folder: Path,
    kind: str,
    item_id: NDArray[np.object_],
    tensors: Mapping[str, NDArray[Any]],
    **numbers: float,
) -> None:
    """Write ``scorer.json`` and ``scorer.safetensors`` into a folder."""
    save_file({n: np.ascontiguousarray(a) for n, a in tensors.items()}, folder / _TENSORS)
    data = {"kind": kind, "format": _FORMAT, "item_id": item_id.tolist(), **numbers}
    (folder / _DATA).write_text(json.dumps(data, indent=1, sort_keys=True))


def read_scores(folder: Path) -> tuple[str, dict[str, Any]]:
    """The kind, and ``item_id``, tensors and numbers by name, of what ``write_scores`` wrote.

    Raises:
        ValueError: the folder holds a format of another version.
    """
    data = json.loads((folder / _DATA).read_text())
    found = data.pop("format")
    if found != _FORMAT:
        raise ValueError(f"{folder}: format {found}, this version reads {_FORMAT}")
    kind = str(data.pop("kind"))
    data["item_id"] = np.array(data["item_id"], dtype=object)
    return kind, {**data, **load_file(folder / _TENSORS)}
