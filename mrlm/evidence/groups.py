"""For whom: the challenger's difference to the champion by scene, position and user history."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.privacy.decision_groups import group_in_words, group_labels


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
        return group_in_words(self.kind, self.group)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GroupDifference:
        """Read what ``dataclasses.asdict`` wrote."""
        found = {n: PolicyEstimate.from_json(e) for n, e in data["differences"].items()}
        return cls(**{**data, "differences": found})


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
