"""What stops a night, and what is worth a warning."""

from __future__ import annotations

from pydantic import Field, field_validator, model_validator

from pipelines.settings.section import Section
from spark_jobs.contract.log_contract import HISTORY, TABLES


class Validation(Section):
    """Thresholds of the expectation suites."""

    min_rows: int = Field(1, ge=0, description="Fewer impressions stop the night.")
    propensity_sum_tolerance: float = Field(
        0.01,
        gt=0,
        description="Largest distance from 1 of the sum of a row's candidate propensities.",
    )
    inverse_propensity_tolerance: float = Field(
        0.25,
        gt=0,
        description="Largest relative gap between the mean of 1/propensity and the mean number of "
        "candidates; their expectations agree when the logged propensities are true.",
    )
    shows_error: float = Field(
        1e-4,
        gt=0,
        lt=1,
        description="Chance that a night whose propensities are true is stopped because items, "
        "positions, scenes, policies or hours were not shown as often as the propensities say.",
    )
    shows_tolerance: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="Relative distance of shows from what the propensities say that is never "
        "called a fault, however many slots show it.",
    )
    arm_shares: dict[str, float] = Field(
        default_factory=dict,
        description="Share of the users that each randomised arm should have, by policy_id; left "
        "out, the arms are compared with the trailing nights, as a warning.",
    )
    arm_error: float = Field(
        1e-4,
        gt=0,
        lt=1,
        description="Chance that arms with the right shares are called wrong on one night.",
    )
    owners: dict[str, str] = Field(
        default_factory=dict,
        description="Who answers for a table (impressions, feedback, items, history): the night's "
        "summary names them beside each failure.",
    )
    unknown_item_share: float = Field(
        0.001, ge=0, description="Larger share of impressions with an unknown item stops the night."
    )
    unknown_history_items: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Larger share of the events of inputs.history whose item is not in the "
        "catalogue is a warning.",
    )
    shifted_share: tuple[float, float] = Field(
        (0.01, 0.05),
        description="Share of a table's rows outside the arrival night that would lie in it by "
        "another clock: above the first a warning, above the second the table is stopped.",
    )
    late_share: float = Field(
        0.05, ge=0, description="Larger share of any table's rows that are late is a warning."
    )
    future_share: float = Field(
        0.02,
        ge=0,
        description="Larger share of any table's rows later than the arrival night is a warning.",
    )
    items_without_text_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Larger share of a night's items without text is a warning.",
    )
    quarantined_share: float = Field(
        0.1, ge=0, description="Larger share of any table in quarantine is a warning."
    )
    row_count_ratio: tuple[float, float] = Field(
        (0.5, 2.0), description="Row count against the median of trailing passed nights: warning."
    )
    feedback_rate_ratio: tuple[float, float] = Field(
        (0.5, 2.0), description="Feedback per impression against the same median: warning."
    )
    unattributed_share: float = Field(
        0.2,
        ge=0,
        description="Larger share of an objective's events that belong to no known impression "
        "stops the night's feedback.",
    )
    doubtful_share: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Larger share of an event that is lost or unreadable makes the rewards of the "
        "night unknown; up to it, the evidence is widened by what it could change.",
    )
    loss_error: float = Field(
        0.03,
        gt=0,
        lt=1,
        description="Chance that rates call a whole night's feedback incomplete.",
    )
    least_events: dict[str, int] = Field(
        default={},
        description="Event to the fewest that a whole night brings, for those that may be rare.",
    )
    trailing_nights: int = Field(
        7, ge=1, description="Passed nights, the newest, whose median the two ratios compare with."
    )

    @field_validator("shifted_share", "row_count_ratio", "feedback_rate_ratio")
    @classmethod
    def _low_before_high(cls, limits: tuple[float, float]) -> tuple[float, float]:
        low, high = limits
        if low > high:
            raise ValueError(f"the limits are [lower, upper]: {low} > {high}")
        return limits

    @field_validator("least_events")
    @classmethod
    def _counts(cls, least: dict[str, int]) -> dict[str, int]:
        for event, number in least.items():
            if number < 0:
                raise ValueError(f"{event!r} must be at least 0, and is {number}")
        return least

    @model_validator(mode="after")
    def _sensible(self) -> Validation:
        if any(share <= 0 for share in self.arm_shares.values()):
            raise ValueError("validation.arm_shares: every share must be above 0")
        tables = (*TABLES, HISTORY)
        unknown = sorted(set(self.owners) - set(tables))
        if unknown:
            raise ValueError(f"validation.owners: {unknown[0]!r} is none of {', '.join(tables)}")
        return self
