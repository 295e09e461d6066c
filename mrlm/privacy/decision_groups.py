"""Groups of decisions that a policy is judged by, none of them too small to be shown."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.segment_labels import history_bands, segment_in_words
from mrlm.bandit_log.users import group
from mrlm.messages.message import Message
from mrlm.privacy.small_groups import OTHER, merged


def group_labels(log: BanditLog, least_users: int) -> dict[str, NDArray[Any]]:
    """The group of every decision, by kind; kinds whose decisions are all alike are left out.

    Args:
        log: n decisions.
        least_users: groups with fewer are merged into ``other``.

    Returns:
        Kind, ``scene``, ``position`` or ``history``, to labels of shape (n,).
    """
    kinds = {
        "scene": log.decisions.scene,
        "position": log.decisions.position.astype(np.int64),
        "history": history_bands(log.decisions),
    }
    user = group(log.decisions.user)[1]
    found = {kind: merged(own, user, least_users) for kind, own in kinds.items()}
    return {kind: label for kind, label in found.items() if len(np.unique(label)) > 1}


def group_in_words(kind: str, name: str) -> str:
    """A group of ``group_labels`` as people name it."""
    if kind == "scene":
        return Message("scene {group}", group=name)
    if kind == "position" and name == OTHER:
        return Message("the other positions")
    if kind == "position":
        return Message("position {group}", group=name)
    if kind == "history" and name == OTHER:
        return Message("users with another history")
    if kind == "history":
        return segment_in_words(name)
    return name
