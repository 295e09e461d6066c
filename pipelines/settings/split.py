"""Which nights fit, tune and judge."""

from __future__ import annotations

from pydantic import Field

from pipelines.settings.section import Section


class Split(Section):
    """How the nights with a final north star are divided; see mrlm/bandit_log and docs."""

    tune_nights: int = Field(2, ge=1, description="Nights on which weights are chosen.")
    gate_nights: int = Field(
        2,
        ge=1,
        description="At most this many fresh nights are judged; one, while nights are too few to "
        "fit and to tune on beside more.",
    )
    min_fit_nights: int = Field(1, ge=1, description="Fewer nights to fit on judge nobody.")
    fit_nights: int = Field(60, ge=1, description="Older nights are not fitted on.")
    night_decisions: int = Field(
        100_000,
        ge=0,
        description="About how many decisions of a night weights are chosen and challengers judged "
        "on, where it has more: all decisions of some users, whom a hash chooses, other ones each "
        "night. Lists and states are made for all users, about so many decisions at a time. 0 "
        "reads all at once.",
    )
    fit_decisions: int = Field(
        500_000,
        ge=0,
        description="About how many decisions of the fit nights together models and policies are "
        "fitted on, where they have more: each night its part, of users as above. What is kept of "
        "each item is fitted to all decisions all the same. 0 reads all.",
    )
