from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from mrlm.bandit_log import Catalog
from mrlm.bandit_log.catalog import ITEMS_SCHEMA
from mrlm.embeddings.embed_catalog import Counts, embed_catalog
from mrlm.embeddings.hashing import HashingEncoder
from mrlm.embeddings.store import EmbeddingStore


class Spy(HashingEncoder):
    """Remembers what it encoded; may stop as if it were killed."""

    def __init__(self, dies_after: int | None = None) -> None:
        super().__init__(32)
        self.calls: list[list[str]] = []
        self._dies_after = dies_after

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if len(self.calls) == self._dies_after:
            raise KeyboardInterrupt
        self.calls.append(list(texts))
        return super().encode(texts)


def catalog(texts: dict[str, str]) -> Catalog:
    rows = [
        {"item_id": i, "text": t, "categories": [], "provider": "", "attributes": []}
        for i, t in texts.items()
    ]
    return Catalog.from_table(pa.Table.from_pylist(rows, schema=ITEMS_SCHEMA))


def test_only_new_or_changed_text_is_encoded(tmp_path: Path) -> None:
    store, spy = EmbeddingStore(tmp_path), Spy()
    first, counts = embed_catalog(catalog({"a": "one", "b": "two", "c": "one"}), spy, store)
    assert counts == Counts(encoded=2, reused=1)
    assert first.embedding is not None
    assert (first.embedding[0] == first.embedding[2]).all()
    second, counts = embed_catalog(
        catalog({"a": "one", "b": "two, changed", "d": "three"}), spy, store
    )
    assert counts == Counts(encoded=2, reused=1)
    assert sorted(spy.calls[1]) == ["three", "two, changed"]
    np.testing.assert_array_equal(second.embedding, spy.encode(["one", "two, changed", "three"]))
    assert embed_catalog(second, Spy(dies_after=0), store)[1] == Counts(encoded=0, reused=3)


def test_items_without_text_have_no_vector_of_any_text(tmp_path: Path) -> None:
    store, spy = EmbeddingStore(tmp_path), Spy()
    some, counts = embed_catalog(catalog({"a": "", "b": "two", "c": ""}), spy, store)
    assert counts == Counts(encoded=1, reused=0, without_text=2)
    assert spy.calls == [["two"]]
    assert some.embedding is not None
    assert np.abs(some.embedding).sum(axis=1).astype(bool).tolist() == [False, True, False]
    none, counts = embed_catalog(catalog({"a": ""}), spy, store)
    assert none.embedding is not None
    assert none.embedding.tolist() == [[0.0] * 32]
    assert counts == Counts(encoded=0, reused=0, without_text=1)
    empty, _ = embed_catalog(catalog({}), spy, store)
    assert empty.embedding is not None
    assert empty.embedding.shape == (0, 32)


def test_a_killed_run_goes_on_with_the_same_chunks(tmp_path: Path) -> None:
    items = catalog({f"i{i}": f"text {i}" for i in range(10)})
    whole = Spy()
    embed_catalog(items, whole, EmbeddingStore(tmp_path / "whole"), chunk=3)
    killed, resumed = Spy(dies_after=2), Spy()
    with pytest.raises(KeyboardInterrupt):
        embed_catalog(items, killed, EmbeddingStore(tmp_path / "killed"), chunk=3)
    embed_catalog(items, resumed, EmbeddingStore(tmp_path / "killed"), chunk=3)
    assert killed.calls + resumed.calls == whole.calls


def test_progress_counts_texts(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    items = catalog({f"i{i}": f"text {i}" for i in range(5)})
    embed_catalog(
        items, Spy(), EmbeddingStore(tmp_path), chunk=2, progress=lambda a, b: seen.append((a, b))
    )
    assert seen == [(2, 5), (4, 5), (5, 5)]
