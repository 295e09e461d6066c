"""The result of the meta-update."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.meta.problem.contract import BoundedLift


@dataclass(frozen=True)
class Guardrail:
    """What the tune nights say about one guardrail at the chosen point.

    Attributes:
        lift: over the champion, with the lower bound at ``guardrail_z``.
        margin: the largest fall that is accepted.
        holds: whether the lower bound is at least minus the margin.
    """

    lift: BoundedLift
    margin: float
    holds: bool


@dataclass(frozen=True)
class ShownFloor:
    """What the tune nights say about one floor of who is shown.

    Attributes:
        least: what is asked for: a mean, or an effective number.
        champion: what the champion has.
        chosen: what the chosen policy has.
    """

    least: float
    champion: float
    chosen: float


@dataclass(frozen=True)
class TuningResult:
    """The chosen policy: kappa * log anchor + theta . standardised features.

    Attributes:
        columns: f names of features.
        kappa: weight of the champion's log probabilities; 1 with all theta 0 is the champion.
        theta: f weights of the features.
        moved: whether the point differs from the champion's.
        reason: why it was chosen, or why the champion stays, in one sentence.
        target: name of what was maximised: the north star, or ``weights`` fixed by hand.
        lift: of the target over the champion on the tune nights, with the bound that chose it.
        printed: the same with its 95 % bound, which holds for all points at once (Scheffe).
        z: standard errors in the bound that chose it.
        significance: T^2 of the target's gradient at the champion.
        directions: degrees of freedom of T^2.
        kl: mean KL to the champion, nats.
        guardrails: by name.
        evaluations: number of points looked at.
        effective_sample_size: Kish's, of the tune nights' decisions under the chosen policy.
        limited_by: what held the step back, in words; empty where only the evidence did.
        floors: of who is shown, by the objective or by what shows are counted by.
    """

    columns: tuple[str, ...]
    kappa: float
    theta: tuple[float, ...]
    moved: bool
    reason: str
    target: str
    lift: BoundedLift
    printed: BoundedLift
    z: float
    significance: float
    directions: int
    kl: float
    guardrails: dict[str, Guardrail]
    evaluations: int
    effective_sample_size: float
    limited_by: tuple[str, ...]
    floors: dict[str, ShownFloor] = field(default_factory=dict)

    @property
    def scale(self) -> float:
        """Sum of |theta|, the inverse temperature."""
        return float(sum(abs(t) for t in self.theta))

    @property
    def shares(self) -> dict[str, float]:
        """Theta over its scale, by feature; all 0 where the champion stays.

        Objective weights are another thing: see ``scalarise.objective_weights``.
        """
        scale = self.scale or 1.0
        return {c: t / scale for c, t in zip(self.columns, self.theta, strict=True)}

    @property
    def point(self) -> NDArray[np.float64]:
        """(kappa, theta), shape (1 + f,)."""
        return np.array([self.kappa, *self.theta])

    def to_json(self) -> dict[str, Any]:
        """All fields, with shares and scale; floors where there are any."""
        told = {**asdict(self), "shares": self.shares, "scale": self.scale}
        if not self.floors:
            del told["floors"]
        return told
