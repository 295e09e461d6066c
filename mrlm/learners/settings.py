"""Settings of the policy learners."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class LearningSettings(BaseModel):
    """The policy learners."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    learners: list[Literal["policy_gradient", "q_learning"]] = ["policy_gradient", "q_learning"]
    floor: float = Field(0.1, gt=0, lt=1, description="Share of uniform exploration.")
    temperature: float = Field(1.0, gt=0)
    epochs: int = Field(6, ge=1)
    batch_size: int = Field(512, ge=8)
    learning_rate: float = Field(2e-3, gt=0)
    weight_clip: float = Field(10.0, gt=0, description="Largest importance weight in training.")
    discount: float = Field(0.8, ge=0, lt=1)
    conservative: float = Field(0.5, ge=0, description="Weight of the CQL term.")
    target_every: int = Field(50, ge=1, description="Updates between target network copies.")
    hidden: int = Field(64, ge=4)
