"""What is kept of a user's past."""

from __future__ import annotations

from pydantic import Field

from pipelines.settings.section import Section


class State(Section):
    """What the bandit log carries as the user's state."""

    history_length: int = Field(
        200,
        ge=0,
        description="Newest entries of a user's past that a decision looks back on; of what a "
        "request brings, the newest so many are read too.",
    )
    history_nights: int = Field(30, ge=1, description="How far back the history reaches.")
    history_objective: str = Field(
        description="Feedback objective that tells most of what a user likes: the histories carry "
        "all, and what reads only one reads this."
    )
