"""For whom: the challenger's difference to the champion by scene, position and user history."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.segment_labels import history_bands, segment_in_words
from mrlm.bandit_log.users import group
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.messages.message import Message
from mrlm.privacy.small_groups import OTHER, merged


@dataclass(frozen=True)
class GroupDifference:
    """The paired difference on the decisions of one group.

    Attributes:
        kind: ``scene``, ``position`` or ``history``, how much the user had done before.
        group: its label; ``other`` holds groups that are too small to be shown.
        rows: decisions.
        users: different users among them.
        differences: objective to challenger - champion: of the north star and each guardrail. All
            intervals of all groups hold together.
    """

    kind: str
    group: str
    rows: int
    users: int
    differences: dict[str, PolicyEstimate]

    @property
    def in_words(self) -> str:
        """The group as people name it."""
        if self.kind == "scene":
            return Message("scene {group}", group=self.group)
        if self.kind == "position" and self.group == OTHER:
            return Message("the other positions")
        if self.kind == "position":
            return Message("position {group}", group=self.group)
        if self.kind == "history" and self.group == OTHER:
            return Message("users with another history")
        if self.kind == "history":
            return segment_in_words(self.group)
        return self.group

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GroupDifference:
        """Read what ``dataclasses.asdict`` wrote."""
        found = {n: PolicyEstimate.from_json(e) for n, e in data["differences"].items()}
        return cls(**{**data, "differences": found})


def group_labels(log: BanditLog, least_users: int) -> dict[str, NDArray[Any]]:
    """The group of every decision, by kind; kinds whose decisions are all alike are left out.

    Args:
        log: n decisions.
        least_users: groups with fewer are merged into ``other``.

    Returns:
        Kind to labels, shape (n,).
    """
    kinds = {
        "scene": log.decisions.scene,
        "position": log.decisions.position.astype(np.int64),
        "history": history_bands(log.decisions),
    }
    user = group(log.decisions.user)[1]
    found = {kind: merged(own, user, least_users) for kind, own in kinds.items()}
    return {kind: label for kind, label in found.items() if len(np.unique(label)) > 1}


def group_differences(
    log: BanditLog,
    least_users: int,
    level: float,
    difference: Callable[[NDArray[np.bool_], float], Mapping[str, PolicyEstimate]],
) -> tuple[GroupDifference, ...]:
    """The difference of each group, with intervals that hold together.

    Each of the k groups and m objectives gets a k m-th of the error (Bonferroni), so that with
    ``level`` no interval of all of them misses.

    Args:
        log: n decisions.
        least_users: of a group that is shown.
        level: two-sided, of all intervals together, in (0, 1).
        difference: of the decisions that are True, bool of shape (n,), at a level; by objective.
    """
    labels = group_labels(log, least_users)
    told = [o.name for o in log.objectives if o.role in ("north_star", "guardrail")]
    members = [
        (kind, name, label == name) for kind, label in labels.items() for name in np.unique(label)
    ]
    each = 1 - (1 - level) / max(len(members) * len(told), 1)
    return tuple(
        GroupDifference(
            kind,
            str(name),
            int(rows.sum()),
            len(set(log.decisions.user[rows])),
            {n: e for n, e in difference(rows, each).items() if n in told},
        )
        for kind, name, rows in members
    )
