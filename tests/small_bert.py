"""A pretrained model of test size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def save_bert(folder: Path, words: Sequence[str], **config: Any) -> Path:
    """A random two-layer BERT with a word tokenizer, as save_pretrained writes them."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    (folder / "vocab.txt").write_text("\n".join(words))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sizes = BertConfig(
            vocab_size=len(words), num_hidden_layers=2, num_attention_heads=2, **config
        )
        BertModel(sizes).save_pretrained(folder)
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    return folder
