"""Vectors of texts; only those that the store lacks are encoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mrlm.embeddings.contract import Encoder
from mrlm.embeddings.store import EmbeddingStore, embedding_key


def embed_texts(
    texts: Sequence[str],
    encoder: Encoder,
    store: EmbeddingStore,
    *,
    chunk: int = 1024,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[NDArray[np.float32], int]:
    """Vectors of unit length, shape (len(texts), dimensions), and how many were encoded now.

    Missing texts are encoded in the order of their keys, ``chunk`` at a time, each chunk stored
    at once: a killed run that is started again forms the same chunks, hence the same vectors.

    Args:
        texts: equal ones share one vector.
        encoder: gives the vectors.
        store: where vectors are looked up and put.
        chunk: texts that are encoded and stored at once.
        progress: called with (texts done, texts to do) after each chunk.
    """
    keys = [embedding_key(encoder.fingerprint, text) for text in texts]
    text_of = dict(zip(keys, texts, strict=True))
    missing = store.missing(keys)
    for start in range(0, len(missing), chunk):
        part = missing[start : start + chunk]
        store.put(part, encoder.encode([text_of[k] for k in part]))
        if progress is not None:
            progress(min(start + chunk, len(missing)), len(missing))
    vectors = store.get(keys) if keys else np.zeros((0, encoder.dimensions), np.float32)
    return vectors, len(missing)
