"""How well the reward model predicts nights that it was not fitted on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.users import group
from mrlm.behaviour.contract import BehaviourModel
from mrlm.behaviour.features.pair_features import shown_only
from mrlm.messages.message import Message
from mrlm.metrics.clustered_auc import auc_within
from mrlm.metrics.ranking import auc
from mrlm.metrics.reliability import calibration_error, log_loss

ALL = "all"
# Users with so few entries in their history are new to the model.
FEW_EVENTS = 5
_MOST_SCENES = 16


@dataclass(frozen=True)
class HeadReport:
    """One head on the shown items of some nights; None where a measure does not apply.

    Attributes:
        objective: name of the head.
        group: which decisions; see ``groups_of``.
        rows: decisions with a final reward.
        users: of those rows; tables tell of no group with few of them.
        mean_reward: of those rows.
        mean_prediction: of those rows.
        auc: binary heads with both outcomes.
        auc_within_users: the same within each user, mean over users by rows.
        log_loss: binary heads, nats.
        squared_error: mean, other heads.
        explained: share of the variance that is explained, other heads; may be negative.
        calibration_error: mean gap of prediction and outcome over bins of equal counts.
    """

    objective: str
    group: str
    rows: int
    users: int
    mean_reward: float | None = None
    mean_prediction: float | None = None
    auc: float | None = None
    auc_within_users: float | None = None
    log_loss: float | None = None
    squared_error: float | None = None
    explained: float | None = None
    calibration_error: float | None = None


def report_reward_model(model: BehaviourModel, log: BanditLog) -> list[HeadReport]:
    """Measure each head on a log's shown items, final rewards only.

    In the order of the heads, and of each head all decisions first, then those of each group that
    has any.
    """
    values = model.score(shown_only(log))
    groups = groups_of(model, log)
    users = group(log.decisions.user)[1]
    reports = []
    for j, (head, binary) in enumerate(zip(model.heads, model.binary, strict=True)):
        column = log.column(head)
        rewards = log.rewards[:, column]
        known = log.final[:, column] & np.isfinite(rewards)
        for name, inside in groups.items():
            kept = known & inside
            if name == ALL or kept.any():
                found = _measured(rewards[kept], values[kept, j], users[kept], binary=binary)
                many = len(np.unique(users[kept]))
                reports.append(HeadReport(head, name, int(kept.sum()), many, **found))
    return reports


def groups_of(model: BehaviourModel, log: BanditLog) -> dict[str, NDArray[np.bool_]]:
    """Groups of decisions by name, each a mask of bool, shape (n,).

    All; each scene where there are several, the most frequent sixteen; decisions that showed an
    item which the model has no reward of; those of users with at most five entries in their
    history.
    """
    return {ALL: np.ones(len(log), np.bool_), **dict(_groups(model, log))}


def _groups(model: BehaviourModel, log: BanditLog) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    scene = log.decisions.scene.astype(str)
    names, rows = np.unique(scene, return_counts=True)
    if len(names) > 1:
        for name in sorted(names[np.argsort(-rows, kind="stable")[:_MOST_SCENES]].tolist()):
            yield Message("scene {group}", group=name), scene == name
    shown = log.decisions.catalog.item_id[log.decisions.candidates.values[log.shown]]
    yield Message("new items"), ~np.isin(shown.astype(str), model.items.astype(str))
    few = log.decisions.looked_back_on().lengths <= FEW_EVENTS
    yield Message("users with at most {events} events", events=FEW_EVENTS), few


def _measured(
    y: NDArray[np.float64], p: NDArray[np.float64], user: NDArray[np.int64], *, binary: bool
) -> dict[str, float]:
    """The measures that apply, by their names in ``HeadReport``."""
    if len(y) == 0:
        return {}
    found = {
        "mean_reward": float(y.mean()),
        "mean_prediction": float(p.mean()),
        "calibration_error": calibration_error(y, p),
    }
    if binary and np.isin(y, (0.0, 1.0)).all():
        areas = {"auc": auc(y, p), "auc_within_users": auc_within(y, p, user)}
        found |= {name: area for name, area in areas.items() if not np.isnan(area)}
        found["log_loss"] = log_loss(y, p)
    else:
        error, spread = float(np.mean((y - p) ** 2)), float(y.var())
        found["squared_error"] = error
        found |= {"explained": 1.0 - error / spread} if spread > 0 else {}
    return found
