"""Give a catalogue its embedding; only new or changed text is encoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mrlm.bandit_log import Catalog
from mrlm.embeddings.contract import Encoder
from mrlm.embeddings.store import EmbeddingStore, embedding_key


@dataclass(frozen=True)
class Counts:
    """Texts that were encoded now, and items that took a vector that was there or just made."""

    encoded: int
    reused: int


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
        catalog: items; equal texts share one vector.
        encoder: gives the vectors.
        store: where vectors are looked up and put.
        chunk: texts that are encoded and stored at once.
        progress: called with (texts done, texts to do) after each chunk.
    """
    keys = [embedding_key(encoder.fingerprint, str(t)) for t in catalog.text]
    text_of = dict(zip(keys, catalog.text, strict=True))
    missing = store.missing(keys)
    for start in range(0, len(missing), chunk):
        part = missing[start : start + chunk]
        store.put(part, encoder.encode([str(text_of[k]) for k in part]))
        if progress is not None:
            progress(min(start + chunk, len(missing)), len(missing))
    encoded = len(missing)
    vectors = store.get(keys).reshape(len(keys), -1)
    return catalog.with_embedding(vectors), Counts(encoded, len(keys) - encoded)
