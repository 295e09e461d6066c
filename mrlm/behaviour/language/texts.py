"""Texts as the trained part reads them: tokens, and hidden states of the layers below it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch.nn.utils.rnn import pad_sequence

from mrlm.behaviour.language.pretrained import Lower, Pretrained, pretrained
from mrlm.behaviour.language.text_network import TextBatch, frozen_depth
from mrlm.behaviour.language_settings import LanguageSettings

Tokens = tuple[int, ...]
# Bytes of hidden states that are kept.
_MOST = 1 << 28


class TextReader:
    """Batches of texts for the upper part, on the settings' device.

    What the lower part said of a text is kept, the newest texts' as far as memory allows. On a
    processor it reads each text alone, so that what stands beside it changes not a bit.

    Args:
        base: the pretrained model.
        settings: depth, tokens, device and precision.
    """

    def __init__(self, base: Pretrained, settings: LanguageSettings) -> None:
        cuda = settings.device == "cuda" or (
            settings.device == "auto" and torch.cuda.is_available()
        )
        self.device = torch.device("cuda" if cuda else "cpu")
        self.bfloat16 = settings.precision == "bfloat16" or (
            settings.precision == "auto" and cuda and torch.cuda.is_bf16_supported()
        )
        depth = frozen_depth(base, settings)
        self.base, self._most = base, settings.max_tokens
        precision = torch.bfloat16 if self.bfloat16 else torch.float32
        self._lower = Lower(base, depth, self.device, precision) if depth else None
        self._kept: OrderedDict[Tokens, torch.Tensor] = OrderedDict()
        self._bytes = 0

    @property
    def place(self) -> str:
        """On what and how exactly it reads, as ``float32 on cpu``."""
        return f"{'bfloat16' if self.bfloat16 else 'float32'} on {self.device.type}"

    def autocast(self) -> torch.autocast:
        """Half precision where the settings ask for it or the device has it."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """Token numbers of each text."""
        return [tuple(t) for t in self.base.tokens(texts, self._most)]

    def cut(self, texts: Sequence[str]) -> list[str]:
        """The beginning of each text that takes half of the tokens that are read, or all of it."""
        return self.base.cut(texts, self._most // 2) if texts else []

    def batch(self, tokens: Sequence[Tokens]) -> TextBatch:
        """These texts, padded to the longest of them."""
        ids, mask = (t.to(self.device) for t in self.base.padded(tokens))
        if self._lower is None:
            return TextBatch(ids, mask, None)
        new = [t for t in dict.fromkeys(tokens) if t not in self._kept]
        size = len(new) if self.device.type == "cuda" else 1
        for start in range(0, len(new), max(size, 1)):
            self._read(self._lower, new[start : start + size])
        hidden = pad_sequence([self._kept[t] for t in tokens], batch_first=True)
        while self._bytes > _MOST:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return TextBatch(ids, mask, hidden)

    def _read(self, lower: Lower, new: list[Tokens]) -> None:
        ids, mask = (t.to(self.device) for t in self.base.padded(new))
        with self.autocast():
            hidden = lower(ids, mask)
        for text, states in zip(new, hidden, strict=True):
            self._kept[text] = states[: len(text)].clone()
            self._bytes += self._kept[text].nbytes


@lru_cache(2)
def text_reader(settings: LanguageSettings) -> TextReader:
    """The reader of these settings, one a process; see ``pretrained`` for what it raises."""
    return TextReader(pretrained(settings.model), settings)
