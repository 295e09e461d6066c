"""An encoder without a model: signed hashing of words and character n-grams."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"\w+", re.UNICODE)
_VERSION = "hashing-1"
_GRAM = 3
# A character n-gram says less than the word it is part of.
_GRAM_WEIGHT = 0.3


class HashingEncoder:
    """Signed feature hashing (Weinberger et al. 2009) of lower-case words and character 3-grams.

    Counts are damped by a square root; vectors have unit length, and a text without a word gets a
    fixed one. Needs no model and no training, so it knows nothing of meaning: texts are near when
    they share words.
    """

    def __init__(self, dimensions: int = 256) -> None:
        self._dimensions = dimensions
        self.fingerprint = hashlib.sha256(f"{_VERSION}/{dimensions}".encode()).hexdigest()
        self._places: dict[str, tuple[int, float]] = {}

    @property
    def dimensions(self) -> int:
        """Width of the vectors."""
        return self._dimensions

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of unit length, float32, shape (len(texts), dimensions), in the order given."""
        out = np.zeros((len(texts), self._dimensions), np.float64)
        for i, text in enumerate(texts):
            for feature, weight in _features(text):
                place, sign = self._place(feature)
                out[i, place] += sign * weight
        length = np.linalg.norm(out, axis=1)
        out[length == 0, 0] = 1.0
        out /= np.where(length == 0, 1.0, length)[:, None]
        return out.astype(np.float32)

    def _place(self, feature: str) -> tuple[int, float]:
        found = self._places.get(feature)
        if found is None:
            digest = hashlib.blake2b(feature.encode(), digest_size=8).digest()
            number = int.from_bytes(digest, "little")
            found = ((number >> 1) % self._dimensions, 1.0 if number & 1 else -1.0)
            self._places[feature] = found
        return found


def _features(text: str) -> Iterator[tuple[str, float]]:
    words = Counter(_WORD.findall(text.lower()))
    grams: Counter[str] = Counter()
    for word, count in words.items():
        padded = f"<{word}>"
        for start in range(len(padded) - _GRAM + 1):
            grams[padded[start : start + _GRAM]] += count
    for word, count in words.items():
        yield f"w:{word}", float(np.sqrt(count))
    for gram, count in grams.items():
        yield f"g:{gram}", _GRAM_WEIGHT * float(np.sqrt(count))
