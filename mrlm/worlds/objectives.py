"""The demonstration's objectives, and what an objective makes of an event that is known."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions, Objective
from mrlm.bandit_log.known_rewards import known_rewards

DEMO_OBJECTIVES = (
    Objective(
        name="delight",
        source="feedback",
        role="north_star",
        unit="share of slots",
        event="delight",
        missing=None,
        window_nights=1,
    ),
    Objective(
        name="like",
        source="feedback",
        unit="share of slots",
        event="rating",
        transform="at_least",
        threshold=4.0,
        missing=None,
    ),
    Objective(
        name="relative_rating",
        source="feedback",
        unit="stars",
        event="relative_rating",
        missing=None,
    ),
    Objective(
        name="long_tail", source="item", attribute="popularity", log=True, low=300.0, high=1.0
    ),
    Objective(name="recency", source="item", attribute="year", low=1950.0, high=2016.0),
    Objective(name="diversity", source="list"),
)


def rewards_of(
    objectives: tuple[Objective, ...],
    decisions: Decisions,
    events: Mapping[str, NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Reward vector of every candidate by itself, float64, shape (N, m).

    Args:
        objectives: m objectives; of one that is a return, without what would follow.
        decisions: N candidates in all.
        events: name of an event to the value it would have, shape (N,); NaN for no event.

    Raises:
        ValueError: the world has no such event.
    """
    columns = []
    for objective in objectives:
        if objective.source != "feedback":
            columns.append(known_rewards(decisions, objective))
            continue
        if objective.event not in events:
            raise ValueError(
                f"objective {objective.name!r}: the world has no event {objective.event!r}; "
                f"it has {sorted(events)}"
            )
        columns.append(_transform(objective, events[objective.event]))
    return np.stack(columns, axis=1)


def _transform(objective: Objective, value: NDArray[np.float64]) -> NDArray[np.float64]:
    missing = np.nan if objective.missing is None else objective.missing
    if objective.transform == "any":
        known = np.ones(len(value))
    elif objective.transform == "none":
        known = np.zeros(len(value))
    elif objective.transform == "at_least":
        known = (value >= objective.threshold).astype(np.float64)
    else:
        known = value
    return np.where(np.isnan(value), missing, known)
