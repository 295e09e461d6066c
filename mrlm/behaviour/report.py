"""How well the reward model predicts nights that it was not fitted on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mrlm.bandit_log import BanditLog
from mrlm.behaviour.features import shown_only
from mrlm.behaviour.reward_model import RewardModel
from mrlm.metrics.ranking import auc
from mrlm.metrics.reliability import calibration_error, log_loss


@dataclass(frozen=True)
class HeadReport:
    """One head on the shown items of some nights; None where a measure does not apply.

    Attributes:
        objective: name of the head.
        rows: decisions with a final reward.
        mean_reward: of those rows.
        mean_prediction: of those rows.
        auc: binary heads with both outcomes.
        log_loss: binary heads, nats.
        squared_error: mean, other heads.
        explained: share of the variance that is explained, other heads; may be negative.
        calibration_error: mean gap of prediction and outcome over bins of equal counts.
    """

    objective: str
    rows: int
    mean_reward: float | None = None
    mean_prediction: float | None = None
    auc: float | None = None
    log_loss: float | None = None
    squared_error: float | None = None
    explained: float | None = None
    calibration_error: float | None = None


def report_reward_model(model: RewardModel, log: BanditLog) -> list[HeadReport]:
    """Measure each head on a log's shown items, final rewards only, in the order of the heads."""
    values = model.score(shown_only(log))
    reports = []
    for j, (head, calibration) in enumerate(zip(model.heads, model.calibration, strict=True)):
        column = log.column(head)
        rewards = log.rewards[:, column]
        known = log.final[:, column] & np.isfinite(rewards)
        y, p = rewards[known], values[known, j]
        if len(y) == 0:
            reports.append(HeadReport(head, 0))
            continue
        binary = calibration.binary and bool(np.isin(y, (0.0, 1.0)).all())
        area = auc(y, p) if binary else float("nan")
        error, spread = float(np.mean((y - p) ** 2)), float(y.var())
        reports.append(
            HeadReport(
                objective=head,
                rows=len(y),
                mean_reward=float(y.mean()),
                mean_prediction=float(p.mean()),
                auc=None if np.isnan(area) else area,
                log_loss=log_loss(y, p) if binary else None,
                squared_error=None if binary else error,
                explained=None if binary or spread == 0 else 1.0 - error / spread,
                calibration_error=calibration_error(y, p),
            )
        )
    return reports
