"""What the importance weights say about an estimate, from the mergeable state."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from mrlm.ope.state import EvaluationState


@dataclass(frozen=True)
class Diagnostics:
    """Overlap of one policy with the log, over the rounds used for one objective.

    Attributes:
        policy: name of the target policy.
        objective: name of the objective.
        rows: rounds with a known reward.
        users: users who have such rounds.
        effective_sample_size: (sum w)^2 / sum w^2 over rounds (Kish).
        effective_users: the same over the users' sums of weights.
        largest_weight: the largest importance weight.
        largest_weight_share: its share of the sum of weights.
        mean_weight: expected to be 1 when propensities are true and the target is supported.
        mean_weight_standard_error: of the mean weight, users being the unit of independence.
        unsupported_mass: mean target probability of candidates that the logger never shows; None
            where the log does not say.
        nonzero: rounds whose reward and weight are both not zero.
    """

    policy: str
    objective: str
    rows: int
    users: int
    effective_sample_size: float
    effective_users: float
    largest_weight: float
    largest_weight_share: float
    mean_weight: float
    mean_weight_standard_error: float
    unsupported_mass: float | None
    nonzero: int

    def to_json(self) -> dict[str, str | int | float | None]:
        """The fields, with None for what is not a finite number."""
        return {k: v if _is_plain(v) else None for k, v in asdict(self).items()}


def diagnostics(state: EvaluationState) -> dict[str, tuple[Diagnostics, ...]]:
    """Diagnostics by objective, one for each policy of the estimate."""
    return {
        name: tuple(_one(state, j, k) for k in range(len(state.policies)))
        for j, name in enumerate(state.objectives)
    }


def _one(state: EvaluationState, j: int, k: int) -> Diagnostics:
    counts = state.rows[:, j]
    rows, users = int(counts.sum()), int((counts > 0).sum())
    by_user = state.weight_sum[:, j, k]
    total, square = float(by_user.sum()), float(state.weight_square[:, j, k].sum())
    user_square = float((by_user**2).sum())
    mean = total / rows if rows else float("nan")
    residual = by_user - mean * counts
    error = float("nan")
    if users > 1:
        error = float(np.sqrt(users / (users - 1) * (residual**2).sum())) / rows
    largest = float(state.weight_largest[:, j, k].max(initial=0.0))
    lost = float(state.unsupported[:, j, k].sum())
    return Diagnostics(
        policy=state.policies[k],
        objective=state.objectives[j],
        rows=rows,
        users=users,
        effective_sample_size=total**2 / square if square else 0.0,
        effective_users=total**2 / user_square if user_square else 0.0,
        largest_weight=largest,
        largest_weight_share=largest / total if total else 1.0,
        mean_weight=mean,
        mean_weight_standard_error=error,
        unsupported_mass=None if rows == 0 or np.isnan(lost) else lost / rows,
        nonzero=int(state.nonzero[:, j, k].sum()),
    )


def _is_plain(value: object) -> bool:
    return not isinstance(value, float) or bool(np.isfinite(value))
