"""The three models of a night that distils: teacher, student, and what learns without a teacher."""

from __future__ import annotations

from dataclasses import dataclass

from mrlm.bandit_log import BanditLog
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.fitting.distilled import fit_student
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.behaviour.fitting.fit_rows import FitRows
from mrlm.behaviour.fitting.training_curves import Progress, of_part
from mrlm.behaviour.settings import BehaviourSettings
from mrlm.metrics.curves import Curves


@dataclass(frozen=True)
class Taught:
    """Three models of the same rows and settings.

    Attributes:
        teacher: as ``behaviour.model`` names it.
        student: of the kind ``pair``, which learned from rewards and from the teacher.
        pair: of that kind, which learned from rewards alone.
    """

    teacher: RewardModel
    student: RewardModel
    pair: RewardModel


def fit_taught(
    log: BanditLog,
    settings: BehaviourSettings,
    seed: int,
    progress: Progress | None = None,
    curves: Curves | None = None,
) -> Taught:
    """Fit all three; the student is what ``fit_reward_model`` gives.

    Args:
        log: decisions of the fit nights, with an embedded catalogue.
        settings: sizes and rates, with ``distil`` above 0.
        seed: of all three.
        progress: called with (epochs done, epochs in all), over the three.
        curves: takes those of the student as ``fit_reward_model`` does, those of the teacher under
            ``teacher/`` and those of the pair under ``pair/``.

    Raises:
        ValueError: as ``fit_reward_model``, or the settings ask for no student.
    """
    if not settings.distil:
        raise ValueError("behaviour.distil is 0: there is no student to fit")
    alone = settings.model_copy(update={"distil": 0.0})
    as_pair = alone.model_copy(update={"model": "pair"})

    def told(part: int, name: str) -> tuple[Progress | None, Curves | None]:
        return of_part(progress, part, 3), curves and curves.under(name)

    teacher = fit_reward_model(log, alone, seed, *told(0, "teacher"))
    fit = FitRows.of(log, settings)
    student = fit_student(teacher, fit, seed, of_part(progress, 1, 3), curves)
    return Taught(teacher, student, fit_reward_model(log, as_pair, seed, *told(2, "pair")))
