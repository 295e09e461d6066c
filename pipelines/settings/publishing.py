"""The lists that a night publishes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pipelines.settings.section import Section


class Publishing(Section):
    """The published recommendations."""

    k: int = Field(10, ge=1, description="Longest list of a user.")
    user_ids: bool = Field(
        False,
        description="Whether the lists are also written with the platform's own user ids, into a "
        "folder that is closed to others. Needs ingestion.keep_user_ids.",
    )
    capacity: str = Field(
        "",
        max_length=64,
        description="Item attribute with the number of slots that an item may take in all lists of "
        "a night together, such as seats or stock; an item without it may take any number. Empty: "
        "no item has a limit.",
    )
    least_shown: str = Field(
        "",
        max_length=64,
        description="Item attribute with the number of slots that an item has to take in all lists "
        "of a night together, such as shows that were promised; an item without it needs none. "
        "Empty: no item does.",
    )
    least_shown_providers: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=dict,
        description="Provider to the number of slots that its items together have to take in all "
        "lists of a night.",
    )
