"""Settings of the policy learners."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from mrlm.behaviour.other_settings import check_changes, with_changes

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
    "double_q_learning",
    "implicit_q_learning",
    "batch_constrained_q_learning",
    "advantage_weighted_regression",
    "clipped_policy_optimisation",
    "vector_policy_iteration",
]
VariantName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
# Of what a night trains, of its rows and passes, and of the policies that are compared.
_NO_VARIANT = frozenset(
    {
        *("learners", "variants", "epochs", "most_epochs"),
        *("max_decisions", "session_gap_minutes", "floor"),
    }
)
_TRIALS = frozenset({"variants"})


class _OneLearner(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PoemSettings(_OneLearner):
    """What the learner ``poem`` alone reads."""

    variance_penalty: float = Field(
        1.0,
        ge=0,
        description="Standard errors of a policy's estimated value that are taken from it.",
    )


class LogarithmicSmoothingSettings(_OneLearner):
    """What the learner ``logarithmic_smoothing`` alone reads."""

    error: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="Chance that a policy is worth less than the bound which is maximised says.",
    )


class TopKSettings(_OneLearner):
    """What the learner ``top_k_reinforce`` alone reads."""

    slots: int = Field(
        0,
        ge=0,
        description="Slots of the lists that the policy is to fill. 0: as many as the log has of "
        "each request; a number where lists are served longer or shorter than they were logged.",
    )


class DoubleQSettings(_OneLearner):
    """What the learner ``double_q_learning`` alone reads."""

    steps: int = Field(
        3, ge=1, description="The most rewards of a session that are added up before Q is asked."
    )


class ImplicitQSettings(_OneLearner):
    """What the learner ``implicit_q_learning`` alone reads."""

    expectile: float = Field(
        0.9, ge=0.5, lt=1, description="Of Q over logged actions: .5 is their mean, 1 their best."
    )
    temperature: float = Field(
        0.1,
        gt=0,
        description="Standard deviations of reward that make a candidate e times as likely as "
        "the logger has it.",
    )


class BatchConstrainedQSettings(_OneLearner):
    """What the learner ``batch_constrained_q_learning`` alone reads."""

    threshold: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Candidates are left out that the logger takes less often than this share of "
        "how often it takes its favourite.",
    )


class AdvantageWeightedSettings(_OneLearner):
    """What the learner ``advantage_weighted_regression`` alone reads."""

    temperature: float = Field(
        0.1,
        gt=0,
        description="Standard deviations of reward that make a candidate e times as likely as "
        "the logger has it.",
    )


class ClippedPolicySettings(_OneLearner):
    """What the learner ``clipped_policy_optimisation`` alone reads."""

    clip: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="How far a probability may leave that of the last renewal, as a share of it.",
    )


class VectorPolicySettings(_OneLearner):
    """What the learner ``vector_policy_iteration`` alone reads."""

    rounds: int = Field(
        3, ge=1, description="Evaluations, each followed by an improvement; epochs are of each."
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
    variants: dict[LearnerName, dict[VariantName, dict[str, Any]]] = Field(
        default_factory=dict,
        description="Learners with other settings of this section, by a name for each, that a "
        "night trains beside these; the meta-update weighs the score of each.",
    )
    floor: float = Field(0.1, gt=0, lt=1, description="Share of uniform exploration.")
    temperature: float = Field(
        1.0, gt=0, description="Temperature of the softmax that is learned; lower is greedier."
    )
    epochs: int = Field(2, ge=1, description="Passes over the fit nights.")
    most_epochs: int | None = Field(
        None,
        ge=1,
        description="Where set, in place of epochs: passes are doubled, up to so many, as long as "
        "what is learned is worth more to users of the fit nights who are held back.",
    )
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
    logarithmic_smoothing: LogarithmicSmoothingSettings = Field(
        LogarithmicSmoothingSettings(), description="What this learner alone reads."
    )
    poem: PoemSettings = Field(PoemSettings(), description="What this learner alone reads.")
    top_k_reinforce: TopKSettings = Field(
        TopKSettings(), description="What this learner alone reads."
    )
    double_q_learning: DoubleQSettings = Field(
        DoubleQSettings(), description="What this learner alone reads."
    )
    implicit_q_learning: ImplicitQSettings = Field(
        ImplicitQSettings(), description="What this learner alone reads."
    )
    batch_constrained_q_learning: BatchConstrainedQSettings = Field(
        BatchConstrainedQSettings(), description="What this learner alone reads."
    )
    advantage_weighted_regression: AdvantageWeightedSettings = Field(
        AdvantageWeightedSettings(), description="What this learner alone reads."
    )
    clipped_policy_optimisation: ClippedPolicySettings = Field(
        ClippedPolicySettings(), description="What this learner alone reads."
    )
    vector_policy_iteration: VectorPolicySettings = Field(
        VectorPolicySettings(), description="What this learner alone reads."
    )
    hidden: int = Field(32, ge=4, description="Units of each hidden layer.")
    projection: int = Field(16, ge=2, description="Width to which embeddings are projected.")
    max_decisions: int = Field(
        40_000, ge=1, description="Larger logs are sampled, whole sessions at a time."
    )
    session_gap_minutes: int = Field(
        30, ge=0, description="A session that ends this close to the log's end may go on after it."
    )

    @model_validator(mode="after")
    def _variants_that_are_settings(self) -> LearningSettings:
        for learner, named in self.variants.items():
            tried = [(f"learning.variants.{learner}.{n}", changes) for n, changes in named.items()]
            check_changes(self, tried, _NO_VARIANT, _TRIALS)
        return self

    def with_changes(self, changes: Mapping[str, Any]) -> LearningSettings:
        """These settings with others in their place, and without variants.

        Args:
            changes: by name; of a table (``poem``) those that are named, the others stay.

        Raises:
            ValidationError: they are no settings.
        """
        return with_changes(self, changes, _TRIALS)
