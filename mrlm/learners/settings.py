"""Settings of the policy learners."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

LearnerName = Literal[
    "cost_sensitive",
    "ips_gradient",
    "logarithmic_smoothing",
    "poem",
    "policy_gradient",
    "q_learning",
    "snips_gradient",
    "top_k_reinforce",
    "weighted_classification",
]


class PoemSettings(BaseModel):
    """What the learner ``poem`` alone reads."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    variance_penalty: float = Field(
        1.0,
        ge=0,
        description="Standard errors of a policy's estimated value that are taken from it.",
    )


class LogarithmicSmoothingSettings(BaseModel):
    """What the learner ``logarithmic_smoothing`` alone reads."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    error: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="Chance that a policy is worth less than the bound which is maximised says.",
    )


class LearningSettings(BaseModel):
    """The policy learners.

    Examples:
        >>> from mrlm import LearningSettings
        >>> LearningSettings(epochs=1).learners
        ['policy_gradient', 'q_learning']
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    learners: list[LearnerName] = Field(
        default=["policy_gradient", "q_learning"],
        description="Learners that a night trains; the meta-update weighs the scores of each.",
    )
    floor: float = Field(0.1, gt=0, lt=1, description="Share of uniform exploration.")
    temperature: float = Field(
        1.0, gt=0, description="Temperature of the softmax that is learned; lower is greedier."
    )
    epochs: int = Field(2, ge=1, description="Passes over the fit nights.")
    batch_size: int = Field(256, ge=8, description="Decisions, each with all its candidates.")
    learning_rate: float = Field(2e-3, gt=0, description="Step size of AdamW.")
    weight_decay: float = Field(1e-2, ge=0, description="Weight decay of AdamW.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Share of hidden units left out at a step.")
    weight_clip: float = Field(10.0, gt=0, description="Largest importance weight in training.")
    divergence: float = Field(
        0.02,
        ge=0,
        description="Price of one nat of KL divergence from the logger, in standard deviations "
        "of reward.",
    )
    discount: float = Field(
        0.5, ge=0, lt=1, description="Factor of a session's next reward, for the Q-learner."
    )
    conservative: float = Field(0.05, ge=0, description="Weight of the CQL term.")
    value_temperature: float = Field(
        0.05,
        gt=0,
        description="Standard deviations of reward that make one unit of a Q-learner's "
        "score, so that its softmax is a policy.",
    )
    target_every: int = Field(50, ge=1, description="Updates between target network copies.")
    hidden: int = Field(32, ge=4, description="Units of each hidden layer.")
    projection: int = Field(16, ge=2, description="Width to which embeddings are projected.")
    max_decisions: int = Field(
        40_000, ge=1, description="Larger logs are sampled, whole sessions at a time."
    )
    logarithmic_smoothing: LogarithmicSmoothingSettings = Field(
        LogarithmicSmoothingSettings(), description="Of the learner logarithmic_smoothing."
    )
    poem: PoemSettings = Field(PoemSettings(), description="Of the learner poem.")
    session_gap_minutes: int = Field(
        30, ge=0, description="A session that ends this close to the log's end may go on after it."
    )
