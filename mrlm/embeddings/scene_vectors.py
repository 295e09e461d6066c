"""Vectors of the scenes' descriptions, as a file beside the catalogue's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SCENES = "scenes.safetensors"


def save_scene_vectors(vectors: Mapping[str, NDArray[np.float32]], folder: Path) -> None:
    """Write each scene's vector, float32, shape (dimensions,), into an existing folder."""
    from safetensors.numpy import save_file

    save_file({s: np.ascontiguousarray(v) for s, v in vectors.items()}, folder / SCENES)


def load_scene_vectors(path: Path) -> dict[str, NDArray[np.float32]]:
    """Read what ``save_scene_vectors`` wrote, by scene."""
    from safetensors.numpy import load_file

    return dict(sorted(load_file(path).items()))
