"""The contract of encoders: text to vectors of unit length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class Encoder(Protocol):
    """What turns text into a vector.

    An encoder is a pure function of one text: the other texts of a call change nothing but the
    last bits. Two encoders with the same fingerprint give the same vectors.
    """

    @property
    def fingerprint(self) -> str:
        """Hash of everything that the vectors depend on: weights, tokenizer, pooling."""
        ...

    @property
    def dimensions(self) -> int:
        """Width of the vectors."""
        ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of unit length, float32, shape (len(texts), dimensions), in the order given."""
        ...
