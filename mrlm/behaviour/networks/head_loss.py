"""What networks with one output a head learn by."""

from __future__ import annotations

import torch
from torch.nn import functional


def head_loss(
    outputs: torch.Tensor,
    wanted: torch.Tensor,
    known: torch.Tensor,
    binary: torch.Tensor,
    *,
    squared: bool = False,
) -> torch.Tensor:
    """Weighted mean over known entries of the heads' losses, summed over heads, a scalar.

    Args:
        outputs: logits of binary heads and values of the others, shape (b, heads).
        wanted: shape (b, heads); anything where unknown.
        known: 0 where unknown, else how much the entry counts, shape (b, heads).
        binary: bool, shape (heads,).
        squared: squared error of the others, not Huber's loss.
    """
    cross_entropy = functional.binary_cross_entropy_with_logits(
        outputs, wanted.clamp(0.0, 1.0), reduction="none"
    )
    distance = functional.mse_loss if squared else functional.huber_loss
    other = distance(outputs, wanted, reduction="none")
    loss = torch.where(binary, cross_entropy, other) * known
    return (loss.sum(0) / known.sum(0).clamp(min=1.0)).sum()
