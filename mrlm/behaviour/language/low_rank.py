"""Low rank changes of a transformer's matrices."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.utils import parametrize


class LowRank(nn.Module):  # type: ignore[misc]
    """W + up · down, which is W before the first step: ``up`` starts at 0.

    Source: Hu et al., LoRA: low-rank adaptation of large language models, 2022. PyTorch's own
    parametrisation puts it in place, so that every model's linear layers take it alike.
    """

    def __init__(self, weight: torch.Tensor, rank: int) -> None:
        super().__init__()
        rows, columns = weight.shape
        self.up = nn.Parameter(weight.new_zeros(rows, rank))
        self.down = nn.Parameter(weight.new_empty(rank, columns))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The changed matrix, of the same shape."""
        return weight + self.up @ self.down


def add_low_rank(module: nn.Module, rank: int) -> None:
    """Let every linear layer inside change by a product of this rank; all else stays as it is."""
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    for layer in [m for m in module.modules() if isinstance(m, nn.Linear)]:
        change = LowRank(layer.weight, min(rank, *layer.weight.shape))
        parametrize.register_parametrization(layer, "weight", change)
