from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from mrlm.embeddings.store import EmbeddingStore, embedding_key

KEYS = [embedding_key("e", t) for t in ("x", "y", "z")]
VECTORS = np.arange(12, dtype=np.float32).reshape(3, 4)


def test_what_is_put_is_got_in_the_order_asked(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path / "store")
    assert store.missing(KEYS) == sorted(KEYS)
    store.put(KEYS[:2], VECTORS[:2])
    store.put(KEYS[2:], VECTORS[2:])
    again = EmbeddingStore(tmp_path / "store")
    wanted = [KEYS[2], KEYS[0], KEYS[2]]
    np.testing.assert_array_equal(again.get(wanted), VECTORS[[2, 0, 2]])
    assert again.missing([*KEYS, "e/none", "e/none"]) == ["e/none"]


def test_the_key_names_encoder_and_text() -> None:
    keys = {embedding_key(e, t) for e in ("e", "f") for t in ("x", "y")}
    assert len(keys) == 4


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="e/none"):
        EmbeddingStore(tmp_path).get(["e/none"])


def test_a_writer_killed_before_the_rename_leaves_nothing_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            EmbeddingStore(tmp_path).put(KEYS, VECTORS)
    assert list(tmp_path.iterdir()), "the staging file stays behind"
    store = EmbeddingStore(tmp_path)
    assert store.missing(KEYS) == sorted(KEYS)
    store.put(KEYS, VECTORS)
    np.testing.assert_array_equal(store.get(KEYS), VECTORS)


def test_several_writers_of_overlapping_keys(tmp_path: Path) -> None:
    texts = [str(i) for i in range(40)]
    keys = [embedding_key("e", t) for t in texts]
    vectors = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)

    def write(start: int) -> None:
        part = slice(start, start + 20)
        EmbeddingStore(tmp_path).put(keys[part], vectors[part])

    threads = [threading.Thread(target=write, args=(s,)) for s in (0, 10, 20, 0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(EmbeddingStore(tmp_path).get(keys), vectors)
    assert len(list(tmp_path.glob("*.parquet"))) == 3, "equal shards have one name"


@pytest.mark.parametrize(
    ("keys", "vectors"),
    [
        (KEYS[:2], VECTORS),
        ([KEYS[0]] * 3, VECTORS),
        (KEYS, np.where(VECTORS == 5, np.nan, VECTORS).astype(np.float32)),
    ],
)
def test_what_cannot_be_stored_is_refused(
    tmp_path: Path, keys: list[str], vectors: np.ndarray
) -> None:
    with pytest.raises(ValueError, match=r"keys|finite"):
        EmbeddingStore(tmp_path).put(keys, vectors)
    assert not list(tmp_path.iterdir())
