"""How long each part of a measurement takes."""

from __future__ import annotations

import time


class Clock:
    """Processor seconds of each part, by name, in ``seconds``."""

    def __init__(self) -> None:
        self._last = time.process_time()
        self.seconds: dict[str, float] = {}

    def lap(self, part: str) -> None:
        """What was used since the last lap went to this part."""
        now = time.process_time()
        self.seconds[part], self._last = round(now - self._last, 2), now
