"""Settings of the reward model."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class BehaviourSettings(BaseModel):
    """The reward model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folds: int = Field(3, ge=2, description="Cross-fitting folds, split by user.")
    hidden: int = Field(64, ge=4)
    projection: int = Field(32, ge=2, description="Width to which embeddings are projected.")
    epochs: int = Field(6, ge=1)
    batch_size: int = Field(512, ge=8)
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
