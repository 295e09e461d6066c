"""A catalogue with its embedding, as two files side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from mrlm.bandit_log import Catalog

ITEMS = "catalog.parquet"
EMBEDDING = "embedding.safetensors"
# Batches of other sizes round differently; another model's vectors differ by far more.
_SAME_VECTOR = 0.05


def save_catalog(catalog: Catalog, folder: Path) -> None:
    """Write the items, and their embedding where there is one, into an existing folder."""
    from safetensors.numpy import save_file

    pq.write_table(catalog.to_table(), folder / ITEMS)
    if catalog.embedding is not None:
        embedding = np.ascontiguousarray(catalog.embedding, np.float32)
        save_file({"embedding": embedding}, folder / EMBEDDING)


def load_catalog(folder: Path) -> Catalog:
    """Read what ``save_catalog`` wrote.

    Raises:
        FileNotFoundError: the folder holds no catalogue.
        ValueError: the embedding belongs to other items.
    """
    from safetensors.numpy import load_file

    catalog = Catalog.read(folder / ITEMS)
    path = folder / EMBEDDING
    return catalog.with_embedding(load_file(path)["embedding"]) if path.is_file() else catalog


def same_vectors(one: Catalog, other: Catalog) -> bool:
    """Whether items with one text have one vector in both, hence one encoder made both.

    Catalogues that share no text, or of which one has no embedding, do not show otherwise.
    """
    if one.embedding is None or other.embedding is None:
        return True
    code = other.codes(one.item_id)
    both = np.flatnonzero(code >= 0)
    both = both[one.text[both] == other.text[code[both]]]
    if len(both) == 0:
        return True
    if one.embedding.shape[1] != other.embedding.shape[1]:
        return False
    return bool(np.abs(one.embedding[both] - other.embedding[code[both]]).max() <= _SAME_VECTOR)
