"""Give a catalogue its embedding; only new or changed text is encoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mrlm.bandit_log import Catalog
from mrlm.embeddings.contract import Encoder
from mrlm.embeddings.store import EmbeddingStore, embedding_key


@dataclass(frozen=True)
class Counts:
    """How an embedding came about.

    Attributes:
        encoded: texts that were encoded now.
        reused: items that took a vector that was there or just made.
        without_text: items whose vector is 0.
    """

    encoded: int
    reused: int
    without_text: int = 0


def embed_catalog(
    catalog: Catalog,
    encoder: Encoder,
    store: EmbeddingStore,
    *,
    chunk: int = 1024,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Catalog, Counts]:
    """The catalogue with its embedding, and how much was new.

    Missing texts are encoded in the order of their keys, ``chunk`` at a time, each chunk stored
    at once: a killed run that is started again forms the same chunks, hence the same vectors.

    Args:
        catalog: items; equal texts share one vector, and an item without text has the vector 0,
            which is no text's.
        encoder: gives the vectors.
        store: where vectors are looked up and put.
        chunk: texts that are encoded and stored at once.
        progress: called with (texts done, texts to do) after each chunk.
    """
    known = np.flatnonzero(~catalog.without_text)
    texts = catalog.text[known]
    keys = [embedding_key(encoder.fingerprint, str(t)) for t in texts]
    text_of = dict(zip(keys, texts, strict=True))
    missing = store.missing(keys)
    for start in range(0, len(missing), chunk):
        part = missing[start : start + chunk]
        store.put(part, encoder.encode([str(text_of[k]) for k in part]))
        if progress is not None:
            progress(min(start + chunk, len(missing)), len(missing))
    encoded = len(missing)
    vectors = np.zeros((len(catalog), encoder.dimensions), np.float32)
    if keys:
        vectors[known] = store.get(keys)
    counts = Counts(encoded, len(keys) - encoded, len(catalog) - len(keys))
    return catalog.with_embedding(vectors), counts
