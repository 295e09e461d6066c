"""Settings of the behaviour models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mrlm.behaviour.language_settings import LanguageSettings
from mrlm.behaviour.other_settings import check_changes, with_changes
from mrlm.behaviour.sequence_settings import SequenceSettings

_TRIALS = frozenset({"alternatives", "alternatives_a_night", "alternative_confidence"})
# Of a trial itself, and what decides which rows are read, or is fitted after the networks.
_NO_ALTERNATIVE = _TRIALS | {"selection_clip", "scene_heads"}


class HistorySettings(BaseModel):
    """What the behaviour model ``history`` adds: factors of items, and tastes over them."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    factors: int = Field(16, ge=1, description="Width of an item's loading and a user's taste.")
    loading_prior: float = Field(
        40.0, gt=0, description="How strongly loadings are drawn to 0: of so many rewards' weight."
    )
    mean_prior: float = Field(
        3.0, gt=0, description="Rewards of the overall mean that are added to an item's own."
    )
    noise: float = Field(
        0.8, gt=0, description="Share of a reward's variance that no taste explains."
    )
    rounds: int = Field(8, ge=1, description="Rounds of expectation-maximisation.")
    folds: int = Field(
        3, ge=2, description="A training row's factors leave out its user's share in this."
    )


class BehaviourSettings(BaseModel):
    """The reward model.

    Examples:
        >>> from mrlm import BehaviourSettings
        >>> BehaviourSettings(folds=2, epochs=1).dropout
        0.2
        >>> BehaviourSettings(fold=2)
        Traceback (most recent call last):
        ...
        pydantic_core._pydantic_core.ValidationError: ...
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: Literal["pair", "history", "sequence", "language"] = Field(
        "history",
        description="pair: pairs of a user and a candidate, by content; history: it also reads the "
        "history by what other users thought of the same items; sequence: a transformer, trained "
        "on the fit nights, reads the history's entries in their order as well; language: a "
        "language model, tuned to behaviour, reads the history's text as well.",
    )
    folds: int = Field(3, ge=2, description="Cross-fitting folds, split by user.")
    components: int = Field(
        64, ge=2, description="Principal components kept of the language model's embedding."
    )
    hidden: int = Field(64, ge=4, description="Units of each hidden layer.")
    projection: int = Field(32, ge=2, description="Width to which embeddings are projected.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Share of hidden units left out at a step.")
    epochs: int = Field(6, ge=1, description="Passes over the fit nights.")
    batch_size: int = Field(512, ge=8, description="Shown slots in a step.")
    learning_rate: float = Field(2e-3, gt=0, description="Step size of AdamW.")
    weight_decay: float = Field(1e-4, ge=0, description="Weight decay of AdamW.")
    statistics_folds: int = Field(
        8, ge=2, description="A training row's item statistics leave out its user's share in this."
    )
    statistics_prior: float = Field(
        8.0, gt=0, description="Rows of the overall mean that are added to an item's own."
    )
    uncertainty_nights: int = Field(
        3,
        ge=1,
        description="Newest fit nights that tell how much users and items differ from what is "
        "predicted of them: they set the uncertainty.",
    )
    selection_clip: float | None = Field(
        None,
        ge=1,
        description="Largest weight of a row, where rows count as if items had been shown "
        "uniformly: 1 over candidates times propensity. Unset: all rows count alike; "
        "docs/behaviour.md says what it measured.",
    )
    scene_heads: bool = Field(
        False,
        description="Adapt the last layer to each scene of the fit nights, as far as they tell "
        "that scenes differ; docs/meta.md says what it measured.",
    )
    distil: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Above 0 the model teaches one of the kind pair, which is kept and served in "
        "its place: this share of that one's loss is what the teacher expects of candidates, the "
        "rest what was observed; docs/behaviour.md says what it measured.",
    )
    alternatives: tuple[dict[str, Any], ...] = Field(
        (),
        description="Other values of settings of this section, one table an alternative, that "
        "nights try beside these: one that is shown to predict the north star of the tune nights "
        "better serves from the next night on. Each trial is one more fit.",
    )
    alternatives_a_night: int = Field(
        1, ge=1, description="Alternatives that a night tries at most, beside the one that serves."
    )
    alternative_confidence: float = Field(
        0.95,
        gt=0.5,
        lt=1,
        description="Level at which an alternative has to predict better than these settings, for "
        "all that a night tries together.",
    )
    history: HistorySettings = Field(
        default_factory=HistorySettings,
        description="How all models but pair read the history.",
    )
    sequence: SequenceSettings = Field(
        default_factory=SequenceSettings, description="What the model sequence alone reads."
    )
    language: LanguageSettings = Field(
        default_factory=LanguageSettings, description="What the model language alone reads."
    )

    @model_validator(mode="after")
    def _something_to_teach(self) -> BehaviourSettings:
        if self.distil and self.model == "pair":
            raise ValueError(
                "behaviour.distil: 'pair' has nothing to teach another 'pair'; set behaviour.model "
                "to another one, or distil to 0"
            )
        return self

    @model_validator(mode="after")
    def _alternatives_that_are_settings(self) -> BehaviourSettings:
        tried = [(f"behaviour.alternatives[{i}]", a) for i, a in enumerate(self.alternatives)]
        check_changes(self, tried, _NO_ALTERNATIVE, _TRIALS)
        return self

    def with_changes(self, changes: Mapping[str, Any]) -> BehaviourSettings:
        """These settings with others in their place, and without alternatives.

        Args:
            changes: by name; of a table (``history``) those that are named, the others stay.

        Raises:
            ValidationError: they are no settings.
        """
        return with_changes(self, changes, _TRIALS)
