"""Settings of the promotion rule."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class GateSettings(BaseModel):
    """The promotion rule."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    estimator: Literal["ips", "snips", "dr"] = "dr"
    level: float = Field(0.95, gt=0.5, lt=1)
    false_promotions: float = Field(
        0.05, gt=0, lt=1, description="Bound on any wrong promotion over all nights together."
    )
    min_effective_sample_size: float = Field(200.0, ge=1)
    max_weight_share: float = Field(0.1, gt=0, le=1)
    min_users: int = Field(30, ge=2)
    min_nonzero: int = Field(
        50, ge=1, description="Decisions with a non-zero north star that an interval needs."
    )
    promotion: Literal["automatic", "person"] = "automatic"
