"""Settings of the meta-update."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_Name = Annotated[str, Field(max_length=64)]
_Weight = Annotated[float, Field(strict=True, ge=0, le=1e6, allow_inf_nan=False)]


def _some(weights: dict[str, float]) -> dict[str, float]:
    if not any(weights.values()):
        raise ValueError("fixed weights must not all be 0")
    return weights


ObjectiveWeights = Annotated[
    dict[_Name, _Weight], Field(min_length=1, max_length=100), AfterValidator(_some)
]


class TuningSettings(BaseModel):
    """The meta-update."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    floor: float = Field(0.1, gt=0, lt=1, description="Exploration floor of the tuned policy.")
    max_kl: float = Field(0.5, gt=0, description="Mean KL to the champion, nats a night.")
    max_scale: float = Field(8.0, gt=0, description="Largest sum of the weights.")
    weight_clip: float = Field(10.0, gt=0, description="Largest importance weight in tuning.")
    confidence: float = Field(
        0.9, gt=0, lt=1, description="Level of the chi-square that widens the lower bound."
    )
    guardrail_z: float = Field(
        1.28,
        ge=0,
        description="Standard errors by which a guardrail's estimated change is lowered before it "
        "is held against the margin.",
    )
    weights: ObjectiveWeights | None = Field(
        None,
        description="Objective weights fixed by hand, each from 0 to a million and not all 0; None "
        "lets the meta-update choose.",
    )
