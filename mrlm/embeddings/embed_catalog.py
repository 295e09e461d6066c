"""Give a catalogue its embedding; only new or changed text is encoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mrlm.bandit_log import Catalog
from mrlm.embeddings.contract import Encoder
from mrlm.embeddings.embed_texts import embed_texts
from mrlm.embeddings.store import EmbeddingStore


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

    Args:
        catalog: items; equal texts share one vector, and an item without text has the vector 0,
            which is no text's.
        encoder: gives the vectors.
        store: where vectors are looked up and put.
        chunk: texts that are encoded and stored at once, see ``embed_texts``.
        progress: called with (texts done, texts to do) after each chunk.
    """
    known = np.flatnonzero(~catalog.without_text)
    texts = [str(text) for text in catalog.text[known]]
    found, encoded = embed_texts(texts, encoder, store, chunk=chunk, progress=progress)
    vectors = np.zeros((len(catalog), encoder.dimensions), np.float32)
    vectors[known] = found
    counts = Counts(encoded, len(texts) - encoded, len(catalog) - len(texts))
    return catalog.with_embedding(vectors), counts
