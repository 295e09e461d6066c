"""Progress of a learner that passes over the log for several things, one after the other."""

from __future__ import annotations

from collections.abc import Callable


def phase(
    progress: Callable[[int, int], None] | None, number: int, phases: int
) -> Callable[[int, int], None] | None:
    """Progress of one of several phases of equal length, told as epochs of the whole.

    Args:
        progress: of the whole, called with (epochs done, epochs in all).
        number: of the phase, from 0.
        phases: how many there are.
    """
    if progress is None:
        return None

    def told(done: int, epochs: int) -> None:
        passes = number * epochs + done
        if passes % phases == 0:
            progress(passes // phases, epochs)

    return told
