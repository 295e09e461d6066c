from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
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


def halved(data: bytes) -> bytes:
    return data[: len(data) // 2]


def with_another_bit(data: bytes) -> bytes:
    """One bit of a vector's bytes, which Parquet alone does not notice."""
    place = data.index(np.float32(VECTORS[1, 1]).tobytes())
    return data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]


@pytest.mark.parametrize("fault", [halved, with_another_bit, lambda data: b""])
def test_a_damaged_shard_is_set_aside_and_its_keys_are_missing(
    tmp_path: Path, fault: Callable[[bytes], bytes]
) -> None:
    EmbeddingStore(tmp_path).put(KEYS, VECTORS)
    (shard,) = tmp_path.glob("*.parquet")
    shard.write_bytes(fault(shard.read_bytes()))
    store = EmbeddingStore(tmp_path)
    assert store.missing(KEYS) == sorted(KEYS)
    assert list(store.set_aside) == [shard.with_name(f"{shard.name}.damaged")]
    assert [p for p in tmp_path.iterdir() if p not in store.set_aside] == []
    store.put(KEYS, VECTORS)
    np.testing.assert_array_equal(store.get(KEYS), VECTORS)
    assert EmbeddingStore(tmp_path).missing(KEYS) == []


@pytest.mark.parametrize("step", [13, pytest.param(1, marks=pytest.mark.long)])
def test_no_flipped_byte_gives_another_vector(tmp_path: Path, step: int) -> None:
    """A byte of a shard at a time: it is noticed, or it changes nothing that is read."""
    EmbeddingStore(tmp_path).put(KEYS, VECTORS)
    (shard,) = tmp_path.glob("*.parquet")
    whole = shard.read_bytes()
    noticed = 0
    places = range(0, len(whole), step)
    for place in places:
        shard.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        store = EmbeddingStore(tmp_path)
        if store.missing(KEYS):
            noticed += 1
            for aside in store.set_aside:
                aside.unlink()
        else:
            np.testing.assert_array_equal(store.get(KEYS), VECTORS)
    assert noticed > len(places) / 2


def test_a_shard_without_a_checksum_is_read(tmp_path: Path) -> None:
    """As versions that made none wrote it."""
    EmbeddingStore(tmp_path).put(KEYS, VECTORS)
    (shard,) = tmp_path.glob("*.parquet")
    pq.write_table(pq.read_table(shard).replace_schema_metadata(None), shard)
    store = EmbeddingStore(tmp_path)
    assert store.missing(KEYS) == []
    np.testing.assert_array_equal(store.get(KEYS), VECTORS)
