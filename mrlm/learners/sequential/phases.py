"""Progress of a learner that passes over the log for several things, one after the other."""

from __future__ import annotations

from mrlm.learners.training_loop import EpochDone


def phase(progress: EpochDone | None, number: int, phases: int) -> EpochDone | None:
    """Progress of one of several phases of equal length, told as epochs of the whole.

    The loss that is told is the phase's own.

    Args:
        progress: of the whole, see ``EpochDone``.
        number: of the phase, from 0.
        phases: how many there are.
    """
    if progress is None:
        return None

    def told(done: int, epochs: int, loss: float) -> None:
        passes = number * epochs + done
        if passes % phases == 0:
            progress(passes // phases, epochs, loss)

    return told
