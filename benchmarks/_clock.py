"""How long each part of a measurement takes."""

from __future__ import annotations

import os


def processor_seconds() -> float:
    """Of this process, and of its children that have ended."""
    return sum(os.times()[:4])


class Clock:
    """Processor seconds of each part, by name, in ``seconds``."""

    def __init__(self) -> None:
        self._last = processor_seconds()
        self.seconds: dict[str, float] = {}

    def lap(self, part: str) -> None:
        """What was used since the last lap went to this part."""
        now = processor_seconds()
        self.seconds[part], self._last = round(now - self._last, 2), now
