"""Settings of the promotion rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from mrlm.ope.nights.hindcast import LEAST_NIGHTS

if TYPE_CHECKING:
    from mrlm.evidence.criteria import Criteria
    from mrlm.ope.verdict.certify import Thresholds


class GateSettings(BaseModel):
    """The promotion rule."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    estimator: Literal["ips", "snips", "dr"] = Field(
        "dr", description="Estimator of all evidence; dr uses the reward model's predictions."
    )
    level: float = Field(
        0.95, gt=0.5, lt=1, description="Two-sided level of the intervals that are shown."
    )
    guardrail_level: float = Field(
        0.95, gt=0.5, lt=1, description="One-sided level of each guardrail's lower bound."
    )
    test_nights: int = Field(
        14,
        ge=1,
        description="Most nights that one challenger is tested on. Evidence adds up over them, and "
        "newer challengers wait; 1: every night judges its own.",
    )
    trial_share: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="Share of what is served that the challenger under test chooses, from a first "
        "look that is not against it, or from the night that makes it where the log tells too "
        "little for a look, until its test ends. The log then tells of it however narrowly the "
        "champion chooses; 0: nobody is served by it before it is promoted.",
    )
    anchored: Literal["off", "advise", "enforce"] = Field(
        "enforce",
        description="What holds against the anchor, a fixed version that only a person moves. "
        "enforce: a challenger that is not shown to keep to the margins below it is refused; "
        "advise: the page and the ledger say so, and it is promoted; off: nobody looks.",
    )
    groups: Literal["off", "advise", "enforce"] = Field(
        "enforce",
        description="What holds where a group (a scene, a position, users with little or much "
        "history) is shown to be worse off although the mean gains. enforce: the challenger is "
        "refused, and none is proposed that its tune nights expect to be; advise: the page says "
        "so, and it is promoted; off: nobody looks.",
    )
    group_error: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="Chance, for each objective, that a challenger which changes no group in it is "
        "refused for one. One that gains in all of them is refused far less often: the error is "
        "large so that harm is seen.",
    )
    false_promotions: float = Field(
        0.05, gt=0, lt=1, description="Bound on any wrong promotion in any 365 nights."
    )
    min_effective_sample_size: float = Field(
        200.0, ge=1, description="Effective sample size of the weights that an interval needs."
    )
    max_weight_share: float = Field(
        0.1, gt=0, le=1, description="Largest share that one decision may have of all weights."
    )
    min_users: int = Field(
        30, ge=2, description="Effective number of users that an interval needs."
    )
    min_nonzero: int = Field(
        50, ge=1, description="Decisions with a non-zero north star that an interval needs."
    )
    watch: Literal["off", "advise", "enforce"] = Field(
        "advise",
        description="What holds where the champion falls short of what its promotion promised. "
        "advise: nobody is promoted, and page, 'mrlm status', ledger and notify tell the command "
        "that rolls it back; enforce: the night rolls it back itself, with the checks of every "
        "rollback; off: promotions are followed, and nothing comes of it. A champion that is "
        "shown to be better than what it replaced all the same stays, and the page says so.",
    )
    hindcast_nights: int = Field(
        14,
        ge=LEAST_NIGHTS,
        description="Most nights since a promotion on which its lift is followed. The watch looks "
        f"first after {LEAST_NIGHTS}.",
    )
    hindcast_promotions: int = Field(
        20, ge=1, description="Most promotions, the newest, that are followed."
    )
    false_alarms: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="Chance of any false alarm of a promotion's watch in 365 nights.",
    )
    power_gains: list[float] = Field(
        default=[0.01, 0.02, 0.05, 0.1],
        description="Gains, as shares of the champion's north star, whose needed decisions the "
        "evidence tells.",
    )
    allow_estimated_propensities: bool = Field(
        False,
        description="Promote on estimated propensities too: only where it is known that the logger "
        "looked at nothing but item, attributes and history.",
    )
    promotion: Literal["automatic", "person"] = Field(
        "automatic",
        description="automatic: a verdict of the rule promotes; person: it waits for an approval.",
    )
    reproduction_tolerance: float = Field(
        1e-6,
        gt=0,
        description="Largest gap between the evidence's probabilities and those of the version "
        "loaded in a fresh process.",
    )
    reproduction_seconds: float = Field(
        300.0, gt=0, description="Longest that the fresh process may take."
    )
    lock_seconds: float = Field(
        600.0, ge=0, description="Longest wait for whoever holds the registry's lock."
    )

    def thresholds(self) -> Thresholds:
        """What an interval needs before it is certified."""
        from mrlm.ope.verdict.certify import Thresholds

        return Thresholds(
            min_effective_sample_size=self.min_effective_sample_size,
            max_weight_share=self.max_weight_share,
            min_users=self.min_users,
            min_nonzero=self.min_nonzero,
        )

    def criteria(self, north_star: str) -> Criteria:
        """What the evidence is made by, for the objective of this name."""
        from mrlm.evidence.criteria import Criteria

        return Criteria(
            north_star=north_star,
            estimator=self.estimator,
            level=self.level,
            thresholds=self.thresholds(),
            no_hidden_confounding=self.allow_estimated_propensities,
            trial_share=self.trial_share,
        )
