"""Texts as the trained part reads them: tokens, and hidden states of the layers below it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mrlm.behaviour.language.language_settings import LanguageSettings
from mrlm.behaviour.language.pretrained import Lower, Pretrained
from mrlm.behaviour.language.text_network import TextBatch, frozen_depth


class TextReader:
    """Batches of texts for the upper part, on the settings' device.

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
        self._lower = Lower(base, depth, self.device) if depth else None

    def autocast(self) -> torch.autocast:
        """Half precision where the settings ask for it or the device has it."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Token numbers of each text."""
        return self.base.tokens(texts, self._most)

    def batch(self, tokens: Sequence[list[int]]) -> TextBatch:
        """These texts, read by the lower part now."""
        ids, mask = (t.to(self.device) for t in self.base.padded(tokens))
        with self.autocast():
            hidden = self._lower(ids, mask) if self._lower else None
        return TextBatch(ids, mask, hidden)


class KeptTexts:
    """Texts that are read again and again, each by the lower part once.

    Args:
        reader: reads them.
        texts: by their number.
    """

    def __init__(self, reader: TextReader, texts: Sequence[str]) -> None:
        self._reader = reader
        self._tokens = reader.tokens(texts)
        self._hidden: dict[int, torch.Tensor] = {}

    def tokens(self, number: int) -> list[int]:
        """Token numbers of a text."""
        return self._tokens[number]

    def batch(self, numbers: Sequence[int]) -> TextBatch:
        """The texts of these numbers; padded to the longest of them."""
        tokens = [self._tokens[i] for i in numbers]
        ids, mask = (t.to(self._reader.device) for t in self._reader.base.padded(tokens))
        kept = [self._of(i) for i in numbers]
        hidden = (
            torch.nn.utils.rnn.pad_sequence([h for h in kept if h is not None], batch_first=True)
            if kept and kept[0] is not None
            else None
        )
        return TextBatch(ids, mask, hidden)

    def _of(self, number: int) -> torch.Tensor | None:
        if number not in self._hidden:
            alone = self._reader.batch([self._tokens[number]]).hidden
            if alone is None:
                return None
            self._hidden[number] = alone[0]
        return self._hidden[number]
