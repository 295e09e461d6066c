"""The trained part: upper layers of a transformer, and a head an objective on what they read."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from mrlm.behaviour.language.low_rank import add_low_rank
from mrlm.behaviour.language.pretrained import Pretrained, Upper
from mrlm.behaviour.language_settings import LanguageSettings
from mrlm.embeddings.transformer import pool


@dataclass(frozen=True)
class TextBatch:
    """t texts as the upper part reads them.

    Attributes:
        ids: token numbers, int64, shape (t, tokens).
        mask: 0 or 1, same shape.
        hidden: what the lower part said, shape (t, tokens, width); None where there is none.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    hidden: torch.Tensor | None


class TextHead(nn.Module):  # type: ignore[misc]
    """One number an objective, of one text's vector or of a user's and an item's.

    Two vectors speak for themselves and by the product of their projections, so that each can be
    computed apart from the other: two-tower, as in Yi et al., Sampling-bias-corrected neural
    modeling for large corpus item recommendations, 2019.
    """

    def __init__(self, parts: int, vector: int, width: int, outputs: int) -> None:
        super().__init__()
        self.own = nn.ModuleList(nn.Linear(vector, outputs, bias=p == 0) for p in range(parts))
        self.projections = nn.ModuleList(
            nn.Linear(vector, width, bias=False) for _ in range(parts if parts > 1 else 0)
        )
        self.together = nn.Linear(width, outputs, bias=False) if parts > 1 else None
        for projection in self.projections[1:]:
            # Both alike at first: the products then say how near one text is to the other.
            projection.load_state_dict(self.projections[0].state_dict())

    def linear(self) -> list[nn.Parameter]:
        """Weights in which the outputs are linear; the projections are none of them."""
        together = [] if self.together is None else [self.together.weight]
        return [*(own.weight for own in self.own), *together]

    def biases(self) -> list[nn.Parameter]:
        """One an output."""
        return [self.own[0].bias]

    def part(self, place: int, vectors: torch.Tensor) -> torch.Tensor:
        """What one part's vectors bring: their own outputs, then their projection."""
        own = self.own[place](vectors)
        if self.together is None:
            return own
        return torch.cat([own, self.projections[place](vectors)], dim=-1)

    def join(self, parts: list[torch.Tensor]) -> torch.Tensor:
        """Outputs of rows, given what each part's vectors bring, (rows, outputs)."""
        if self.together is None:
            return parts[0]
        outputs = self.own[0].out_features
        product = parts[0][:, outputs:] * parts[1][:, outputs:]
        return parts[0][:, :outputs] + parts[1][:, :outputs] + self.together(product)


class TextNetwork(nn.Module):  # type: ignore[misc]
    """Upper layers, pooled, and the head; what is trained follows from ``settings.tuning``."""

    def __init__(
        self, base: Pretrained, settings: LanguageSettings, parts: int, outputs: int
    ) -> None:
        super().__init__()
        self.upper = Upper(base, frozen_depth(base, settings))
        self.head = TextHead(parts, base.width, settings.width, outputs)
        if settings.tuning == "low_rank":
            for layer in self.upper.layers:
                add_low_rank(layer, settings.rank)
        elif settings.tuning == "full":
            trained = self.upper.layers if self.upper.depth else [self.upper.model]
            for module in trained:
                module.requires_grad_(True)
        if settings.gradient_checkpoints:
            self.upper.model.activation_checkpointing_enable()
        self._length = base.width**0.5

    def vectors(self, batch: TextBatch) -> torch.Tensor:
        """One vector a text, of the length that random unit entries have, (t, width)."""
        hidden = self.upper(batch.ids, batch.mask, batch.hidden)
        return pool(hidden.float(), batch.mask) * self._length

    def trained(self) -> dict[str, nn.Parameter]:
        """Parameters that are trained, by name."""
        return {n: p for n, p in self.named_parameters() if p.requires_grad}


def frozen_depth(base: Pretrained, settings: LanguageSettings) -> int:
    """How many of the lowest layers stay as they are."""
    if settings.tuning == "head":
        return base.depth
    if settings.trained_layers is None:
        return 0
    return max(base.depth - settings.trained_layers, 0)
