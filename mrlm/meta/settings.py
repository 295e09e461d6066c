"""Settings of the meta-update."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mrlm.bandit_log.item_groups import GroupKind

StrategyName = Literal[
    "pessimistic_bound",
    "fixed_weights",
    "regression_weights",
    "ips_grid",
    "bound_grid",
    "normal_bound",
]

BaselineName = Literal["item_mean", "popularity", "recent_popularity", "nearest_neighbours"]
HyperparameterName = Literal["half_life", "confidence", "kept_bound", "weight_clip"]

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
    least_effective_rows: int = Field(
        500,
        ge=1,
        description="Effective sample size that the tuned policy keeps on the tune nights, in "
        "decisions; where the champion has less, the champion's.",
    )
    least_effective_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="The same as a share of the tune nights' decisions; the larger of the two "
        "holds.",
    )
    least_entropy: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Mean entropy that the tuned policy keeps, as a share of uniform's, so that "
        "tomorrow's log can still tell other policies; where the champion has less, the "
        "champion's. 0 asks for none beyond the exploration floor's.",
    )
    exposure_floors: dict[_Name, float] = Field(
        default_factory=dict,
        description="Least mean under the tuned policy of an objective that is known for every "
        "item, such as provider fairness, in its unit. Where the champion has less, a night moves "
        "only to what has it and is proven to be better all the same.",
    )
    diversity_floors: dict[GroupKind, Annotated[float, Field(ge=1)]] = Field(
        default_factory=dict,
        description="Least effective number of providers, categories or items that the tuned "
        "policy shows, as exp(entropy) of their shares of all shows. Where the champion has less, "
        "as for exposure_floors; the policy can then weigh how seldom the champion shows what a "
        "candidate belongs to.",
    )
    max_kl: float = Field(
        0.5, gt=0, description="Mean KL to the champion, nats a night, where it is capped."
    )
    kl_cap: Literal["horizon", "always"] = Field(
        "horizon",
        description="horizon: the KL cap holds where a score with a horizon is weighed, such as a "
        "Q-learner's, and for every step where the north star or a guardrail is a return; always: "
        "for every step.",
    )
    max_scale: float = Field(
        8.0,
        gt=0,
        description="Largest sum of the weights; raised up to eightfold where it holds back a "
        "step that the evidence supports.",
    )
    weight_clip: float = Field(10.0, gt=0, description="Largest importance weight in tuning.")
    confidence: float = Field(
        0.9, gt=0, lt=1, description="Level of the chi-square that widens the lower bound."
    )
    kept_bound: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of the largest lower bound that the chosen point keeps; of all points "
        "that keep it, the one with the largest lift, as features count for the target, less one "
        "standard error is chosen.",
    )
    head_confidence: float = Field(
        0.9,
        gt=0.5,
        lt=1,
        description="One-sided level at which the north star's own head, as sharp as the limits "
        "allow, is proposed where no search finds a larger proven lift.",
    )
    guardrail_z: float = Field(
        1.28,
        ge=0,
        description="Standard errors by which a guardrail's estimated change is lowered before it "
        "is held against the margin.",
    )
    strategy: StrategyName = Field(
        "pessimistic_bound",
        description="What chooses the weights: pessimistic_bound, the project's own, or one of the "
        "baselines that every night reports beside it (docs/meta.md).",
    )
    half_life: float | None = Field(
        None,
        gt=0,
        description="Nights of the tune window after which a decision counts half; None counts all "
        "alike.",
    )
    change_confidence: float | None = Field(
        0.999,
        gt=0,
        lt=1,
        description="Chance that a night without a change raises no alarm; after an alarm older "
        "tune nights are no longer tuned on. None never looks for a change.",
    )
    surrogate: bool = Field(
        True,
        description="Whether decisions whose north star is still open count by what their early "
        "rewards say of it, beside those where it is known.",
    )
    baselines: tuple[BaselineName, ...] = Field(
        (),
        description="Simple baselines whose scores are weighed as those of learned policies are: "
        "where one of them is better than the challenger, name it here.",
    )
    segments: Literal["none", "scene", "history"] = Field(
        "none",
        description="scene: each scene gets weights of its own where scenes want different things, "
        "shrunk to what all have in common; history: users with no, few or many items in their "
        "history do (the gate's groups); none: one choice for all.",
    )
    hyperparameters: tuple[HyperparameterName, ...] = Field(
        (),
        description="Settings of this section that nights learn from the log: each night tries "
        "others on its tune nights, and leaves one that is shown to be better to the next. None by "
        "default.",
    )
    hyperparameter_trials: int = Field(
        8, ge=1, le=256, description="Settings that a night tries beside its own."
    )
    hyperparameter_confidence: float = Field(
        0.95,
        gt=0.5,
        lt=1,
        description="Level at which a setting has to be better than the night's own, for all that "
        "are tried together.",
    )
    hyperparameter_record: str = Field(
        "",
        description="Path of another deployment's hyperparameters.json, whose trials seed this "
        "one's; empty: none.",
    )
    weights: ObjectiveWeights | None = Field(
        None,
        description="Objective weights fixed by hand, each from 0 to a million and not all 0; None "
        "lets the meta-update choose. They make the night's challenger, and the next night's "
        "learners train with them.",
    )
