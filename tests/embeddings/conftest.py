from __future__ import annotations

from pathlib import Path

import pytest

from tests.small_bert import save_bert

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefgh", "red", "blue", "film", "war", "love"]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer BERT with dropout and a word tokenizer, as save_pretrained writes them."""
    folder = tmp_path_factory.mktemp("tiny-bert")
    return save_bert(folder, WORDS, hidden_size=24, intermediate_size=32, hidden_dropout_prob=0.5)
