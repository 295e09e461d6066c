"""What a student loses is told with its sign, its interval, and what applies to the north star."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Decisions
from mrlm.learners.choice import choose_on
from mrlm.learners.distillation_loss import FLOOR, distillation_loss
from mrlm.metrics.ranking import auc
from mrlm.metrics.reliability import log_loss

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Told:
    """A model whose expectations of the north star were there before."""

    star: Floats
    binary: tuple[bool, ...] = (True,)
    heads: tuple[str, ...] = ("like",)

    def score(self, decisions: Decisions) -> Floats:
        return np.repeat(self.star[:, None], len(self.heads) + 1, axis=1)


def losses(log: BanditLog, teacher: Any, student: Any, pair: Any) -> dict[str, Any]:
    return {m.measure: m for m in distillation_loss(teacher, student, pair, log)}


def test_a_student_between_its_teacher_and_chance_is_worse_than_one_and_better_than_the_other(
    world: tuple[BanditLog, Floats],
) -> None:
    log, truth = world
    star = truth[:, log.column("like")]
    blurred, flat = 0.5 * star + 0.5 * star.mean(), np.full(len(star), 0.5)
    wrong = np.random.default_rng(0).permutation(star)
    student = np.where(np.random.default_rng(1).random(len(star)) < 0.4, wrong, star)
    found = losses(log, Told(star), Told(student), Told(wrong))
    assert list(found) == ["auc", "log_loss", "value"]
    for measure in found.values():
        assert measure.to_teacher.better is False
        assert measure.to_pair.better is True
        assert measure.to_teacher.value == pytest.approx(measure.student - measure.teacher)
    assert found["log_loss"].to_teacher.value > 0 > found["auc"].to_teacher.value
    label, shown = log.rewards[:, log.column("like")], log.shown
    assert found["auc"].student == auc(label, student[shown])
    assert found["log_loss"].pair == log_loss(label, wrong[shown])
    values = choose_on(log, {"teacher": star, "pair": wrong}, star, FLOOR).values
    assert found["value"].teacher == values["teacher"].value
    # Blurred probabilities keep the order: the same areas and decisions, another log loss.
    same = losses(log, Told(star), Told(blurred), Told(flat))
    assert same["auc"].to_teacher.value == same["value"].to_teacher.value == 0.0
    assert same["value"].to_teacher.better is None
    assert same["log_loss"].to_teacher.better is False


def test_graded_north_stars_have_squared_errors_and_few_rows_no_interval(
    world: tuple[BanditLog, Floats],
) -> None:
    log, truth = world
    like, rating = (log.column(name) for name in ("like", "rating"))
    roles = {"like": "component", "rating": "north_star"}
    stars = tuple(replace(o, role=roles.get(o.name, o.role)) for o in log.objectives)
    graded = replace(log, objectives=stars)
    of = [Told(truth[:, rating] + s, (True, False), ("like", "rating")) for s in (0.0, 0.1, 0.2)]
    found = losses(graded, *of)
    assert list(found) == ["squared_error", "value"]
    assert found["squared_error"].to_teacher.better is False
    few = log.take(np.arange(20))
    flat = few.decisions.candidates.values.astype(float)
    star = Told(truth[: len(flat), like])
    value = losses(few, star, Told(flat / flat.max()), star)["value"]
    assert (value.to_teacher.lower, value.to_teacher.better) == (None, None)
    nothing = replace(few, final=np.zeros_like(few.final))
    with pytest.raises(ValueError, match="no decision has a final"):
        distillation_loss(star, star, star, nothing)  # type: ignore[arg-type]
