"""A pretrained transformer from a folder on this machine, in a lower and an upper part."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mrlm.embeddings.transformer import (
    fingerprint_folder,
    offline_transformers,
    packaged_model_folder,
)


class Pretrained:
    """Tokenizer and weights, which are never changed: what is tuned is a copy.

    Attributes:
        fingerprint: hash of the folder's configuration, weights and tokenizer.
        width: of the hidden states.
        depth: layers.

    Raises:
        FileNotFoundError: the folder holds no model.
        ValueError: the model has no one list of layers.
    """

    def __init__(self, folder: Path) -> None:
        self.fingerprint = fingerprint_folder(folder)
        transformers, place = offline_transformers(), str(folder)
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(place, local_files_only=True)
        self._tokenizer.padding_side = "right"
        if self._tokenizer.pad_token is None:
            # Decoders come without one; what it stands for is masked everywhere.
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self.model = transformers.AutoModel.from_pretrained(
            place, local_files_only=True, use_safetensors=True, dtype=torch.float32
        ).eval()
        self.width = int(self.model.config.hidden_size)
        self.depth = len(_layers(self.model))
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)

    def tokens(self, texts: Sequence[str], most: int) -> list[list[int]]:
        """Token numbers of each text, at most so many and at least one.

        What is spelled like a special token is read as words: titles are no markup.
        """
        found = self._tokenizer(
            list(texts), truncation=True, max_length=most, split_special_tokens=True
        )["input_ids"]
        # Tokenizers of decoders put nothing around a text: one without words has no token.
        return [list(ids) or [self._tokenizer.pad_token_id] for ids in found]

    def cut(self, texts: Sequence[str], most: int) -> list[str]:
        """The beginning of each text, as far as so many tokens go."""
        found = self._tokenizer(
            list(texts),
            truncation=True,
            max_length=most,
            add_special_tokens=False,
            split_special_tokens=True,
            return_offsets_mapping=True,
        )["offset_mapping"]
        return [
            text[: places[-1][1]] if places else ""
            for text, places in zip(texts, found, strict=True)
        ]

    def padded(self, tokens: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Token numbers and mask, int64, both (texts, longest)."""
        batch = self._tokenizer.pad({"input_ids": [list(t) for t in tokens]}, return_tensors="pt")
        return batch["input_ids"], batch["attention_mask"]


@lru_cache(2)
def _read(folder: Path) -> Pretrained:
    return Pretrained(folder)


def pretrained(folder: str | None, fingerprint: str | None = None) -> Pretrained:
    """The model of a folder, or the packaged one; read once a process.

    Args:
        folder: where it lies.
        fingerprint: what it must be.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is another one.
    """
    place = Path(folder) if folder else packaged_model_folder()
    found = _read(place)
    if fingerprint not in (None, found.fingerprint):
        raise ValueError(
            f"{place}: this is not the language model that the behaviour model was tuned from "
            f"({found.fingerprint[:12]}, expected {fingerprint[:12] if fingerprint else ''}): put "
            "that one back, or fit the behaviour model anew"
        )
    return found


class Lower:
    """The first layers as they are: hidden states that the upper part goes on from.

    Args:
        base: the pretrained model.
        depth: how many.
        device: where they are computed.
        precision: that hidden states are rounded to. Less than float32 would make of the last bit,
            in which processors differ, a difference of 0.4 per cent in single entries.
    """

    def __init__(
        self,
        base: Pretrained,
        depth: int,
        device: torch.device,
        precision: torch.dtype = torch.float32,
    ) -> None:
        model = copy.deepcopy(base.model, _shared(base.model))
        layers = _layers(model)
        del layers[depth:]
        self._model, self._found = model.to(device), torch.zeros(0)
        self._precision = precision
        layers[depth - 1].register_forward_hook(self._keep)

    def _keep(self, _module: nn.Module, _given: Any, found: Any) -> None:
        self._found = found[0] if isinstance(found, tuple) else found

    def __call__(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Hidden states, (texts, tokens, width)."""
        with torch.no_grad():
            self._model(input_ids=ids, attention_mask=mask)
        return self._found.to(self._precision)


class Upper(nn.Module):  # type: ignore[misc]
    """The layers above a depth, a copy of their own; depth 0 is the whole model."""

    def __init__(self, base: Pretrained, depth: int) -> None:
        super().__init__()
        shared = _shared(base.model) if depth else {}
        for layer in _layers(base.model)[depth:]:
            for parameter in layer.parameters():
                shared.pop(id(parameter), None)
        self.model = copy.deepcopy(base.model, shared)
        self.depth = depth
        layers = _layers(self.model)
        for i in range(depth):
            layers[i] = _Given(layers[i])
        self._last = [layers[depth - 1]] if depth else []

    @property
    def layers(self) -> list[nn.Module]:
        """Those that are computed here."""
        return list(_layers(self.model)[self.depth :])

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, hidden: torch.Tensor | None
    ) -> torch.Tensor:
        """Last hidden states, (texts, tokens, width).

        Args:
            ids: token numbers, (texts, tokens).
            mask: 0 or 1, same shape.
            hidden: what ``Lower`` of the same depth gave; None where depth is 0.
        """
        for last in self._last:
            last.given = hidden
        return self.model(input_ids=ids, attention_mask=mask).last_hidden_state


class _Given(nn.Module):  # type: ignore[misc]
    """Stands where a lower layer was: the model still makes its masks and positions itself."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.given: torch.Tensor | None = None
        if hasattr(layer, "attention_type"):
            self.attention_type = layer.attention_type

    def forward(self, hidden: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        return hidden if self.given is None else self.given.to(hidden.dtype)


def _layers(model: nn.Module) -> nn.ModuleList:
    """The list of a transformer's layers, whatever its family calls it."""
    depth = model.config.num_hidden_layers
    lists = [m for m in model.modules() if isinstance(m, nn.ModuleList) and len(m) == depth]
    if not lists:
        raise ValueError(
            f"{type(model).__name__} has no list of its {depth} layers: take a model of the BERT "
            "family or a decoder"
        )
    return lists[0]


def _shared(model: nn.Module) -> dict[int, Any]:
    """For ``deepcopy``: weights stay those of the model, they are not copied."""
    return {id(t): t for t in (*model.parameters(), *model.buffers())}
