"""Settings of the meta-update."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class TuningSettings(BaseModel):
    """The meta-update."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    floor: float = Field(0.1, gt=0, lt=1, description="Exploration floor of the tuned policy.")
    max_kl: float = Field(0.5, gt=0, description="Mean KL to the champion, nats a night.")
    max_scale: float = Field(8.0, gt=0, description="Largest sum of the weights.")
    weight_clip: float = Field(10.0, gt=0)
    confidence: float = Field(
        0.9, gt=0, lt=1, description="Level of the chi-square that widens the lower bound."
    )
    guardrail_z: float = Field(1.28, ge=0)
    weights: dict[str, float] | None = Field(
        None, description="Objective weights fixed by hand; None lets the meta-update choose."
    )
