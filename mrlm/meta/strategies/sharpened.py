"""A direction of theta at the sharpest scale that the limits of a task permit."""

from __future__ import annotations

import numpy as np

from mrlm.messages.message import Joined, Message
from mrlm.meta.problem.tuned_softmax import Vector
from mrlm.meta.search.tuning_task import TuningTask
from mrlm.meta.search.within_limits import DOUBLINGS
from mrlm.meta.strategies.contract import Proposal

# A fixed direction is served within a fortieth of the sharpest scale that is permitted.
HALVINGS = 5


def sharpest(
    task: TuningTask, direction: Vector, halvings: int = 0
) -> tuple[Vector | None, tuple[str, ...]]:
    """The point kappa 0 along a direction with the largest scale that every limit permits.

    Scales are halved from eight times ``tuning.max_scale``.

    Args:
        task: with the limits.
        direction: (0, theta), shape (1 + f,), |theta| summing to 1.
        halvings: of the interval between what is permitted and what is not.

    Returns:
        The point, None where no scale is permitted; and what forbade the scale above it.
    """
    sharper: tuple[str, ...] = ()
    scale = task.space.scale * 2.0**DOUBLINGS
    for _ in range(2 * DOUBLINGS):
        if task.permits(direction * scale):
            break
        sharper = tuple(
            limit.name for limit in task.limits if limit.slack(direction * scale)[0] < 0
        )
        scale /= 2
    else:
        return None, sharper
    step = scale / 2 if sharper else 0.0
    for _ in range(halvings):
        scale += step if task.permits(direction * (scale + step)) else 0.0
        step /= 2
    return direction * scale, sharper


def as_sharp_as_permitted(task: TuningTask, weights: Vector, reason: Message) -> Proposal:
    """Proposes weights of the features, not negative, shape (f,), by their proportions.

    Where they are all 0, or no scale is permitted, the champion stays.
    """
    total = float(weights.sum())
    nothing = Message("{reason}: no weight is positive", reason=reason)
    stays = Proposal(task.policy.champion_point, False, nothing)
    if not total > 0:
        return stays
    point, limited = sharpest(task, np.concatenate([[0.0], weights / total]), HALVINGS)
    if point is None:
        why = Message(
            "{reason}: no scale is within {limits}", reason=reason, limits=Joined(", ", limited)
        )
        return Proposal(task.policy.champion_point, False, why)
    return Proposal(point, True, reason, limited_by=limited)
