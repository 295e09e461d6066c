"""What serving a student in its teacher's place costs, on nights that neither was fitted on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.objectives import north_star
from mrlm.bandit_log.users import group
from mrlm.behaviour.contract import BehaviourModel
from mrlm.learners.choice import estimate_of, greedy_values, north_star_rounds
from mrlm.metrics.clustered import Clustered, clustered_mean
from mrlm.metrics.clustered_auc import clustered_auc
from mrlm.metrics.reliability import log_losses
from mrlm.ope.difference import difference

Floats = NDArray[np.float64]
# Models are compared with their decisions but for this share greedy, whatever a night serves: the
# comparison is of the models.
FLOOR = 0.1
TEACHER, STUDENT, PAIR = "teacher", "student", "pair"


@dataclass(frozen=True)
class Gap:
    """What the student has more than another model, on the same rows.

    Attributes:
        value: the difference.
        lower, upper: ends of its interval, clustered by user; None where it is not certified.
        better: whether the interval says that the student is better; None where it says neither.
    """

    value: float
    lower: float | None
    upper: float | None
    better: bool | None

    @classmethod
    def of(cls, value: float, ends: tuple[float, float] | None, *, less_is_better: bool) -> Gap:
        """A difference with an interval, if it has one."""
        if ends is None or not np.isfinite(ends).all():
            return cls(value, None, None, None)
        lower, upper = ends
        better = (lower > 0) != less_is_better if lower > 0 or upper < 0 else None
        return cls(value, float(lower), float(upper), better)


@dataclass(frozen=True)
class DistillationLoss:
    """One measure of three models on the north star of the same rows.

    Attributes:
        measure: ``auc``, ``log_loss`` or ``squared_error`` of what was shown; or ``value``, the
            doubly robust value of the policy that is greedy by the model, with ``FLOOR``.
        teacher, student, pair: its value; ``pair`` is what learns without a teacher.
        to_teacher, to_pair: the student's less the other's.
    """

    measure: str
    teacher: float
    student: float
    pair: float
    to_teacher: Gap
    to_pair: Gap


def distillation_loss(
    teacher: BehaviourModel,
    student: BehaviourModel,
    pair: BehaviourModel,
    log: BanditLog,
    level: float = 0.95,
) -> list[DistillationLoss]:
    """Each measure that applies to the north star, the value of the policy last.

    Args:
        teacher: fitted on other nights.
        student: of the teacher, fitted on the same rows.
        pair: fitted on these without a teacher.
        log: with a propensity in every row.
        level: of two-sided intervals.

    Raises:
        ValueError: no decision has a final reward of the north star.
    """
    star = north_star(log.objectives).name
    models = {TEACHER: teacher, STUDENT: student, PAIR: pair}
    scores = {n: m.score(log.decisions)[:, m.heads.index(star)] for n, m in models.items()}
    figures = _figures(log, scores, binary=student.binary[student.heads.index(star)])
    return [
        *(_of_figures(measure, found, level) for measure, found in figures.items()),
        _of_values(log, scores, level),
    ]


def _figures(
    log: BanditLog, scores: Mapping[str, Floats], *, binary: bool
) -> dict[str, dict[str, Clustered]]:
    """Measure and model to its figure on what was shown."""
    column = log.column(north_star(log.objectives).name)
    known = np.flatnonzero(log.final[:, column] & np.isfinite(log.rewards[:, column]))
    if len(known) == 0:
        raise ValueError("no decision has a final north star: ingest more nights")
    y, user = log.rewards[known, column], group(log.decisions.user[known])[1]
    shown = {name: score[log.shown[known]] for name, score in scores.items()}
    if not binary:
        errors = {n: clustered_mean((y - p) ** 2, user) for n, p in shown.items()}
        return {"squared_error": errors}
    losses = {n: clustered_mean(log_losses(y, p), user) for n, p in shown.items()}
    if y.min() == y.max():
        return {"log_loss": losses}
    return {"auc": {n: clustered_auc(y, p, user) for n, p in shown.items()}, "log_loss": losses}


def _of_figures(measure: str, found: Mapping[str, Clustered], level: float) -> DistillationLoss:
    def gap(other: str) -> Gap:
        less = found[STUDENT] - found[other]
        return Gap.of(less.value, less.interval(level), less_is_better=measure != "auc")

    values = {name: figure.value for name, figure in found.items()}
    return DistillationLoss(measure, **values, to_teacher=gap(TEACHER), to_pair=gap(PAIR))


def _of_values(log: BanditLog, scores: Mapping[str, Floats], level: float) -> DistillationLoss:
    # Any q leaves the values unbiased where propensities are true; the teacher's is the sharpest.
    found = greedy_values(north_star_rounds(log, scores[TEACHER]), scores, FLOOR)

    def gap(other: str) -> Gap:
        less = estimate_of(difference(found[STUDENT], found[other]), level)
        ends = (less.lower, less.upper) if less.certified else None
        return Gap.of(less.value, ends, less_is_better=False)

    values = {name: estimate_of(of, level).value for name, of in found.items()}
    return DistillationLoss("value", **values, to_teacher=gap(TEACHER), to_pair=gap(PAIR))
