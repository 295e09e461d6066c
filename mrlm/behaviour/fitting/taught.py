"""The three models of a night that distils: teacher, student, and what learns without a teacher."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.stored.shown_nights import ShownNights
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.features.space import fit_space
from mrlm.behaviour.fitting.cross_fitted import fit_cross_fitted
from mrlm.behaviour.fitting.distilled import fit_student
from mrlm.behaviour.fitting.fit import fitting_rows
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
    whole: ShownNights | None = None,
    scratch: Path | None = None,
) -> Taught:
    """Fit all three; the student is what ``fit_reward_model`` gives.

    Args:
        log: decisions of the fit nights, with an embedded catalogue.
        settings: sizes and rates, with ``distil`` above 0.
        seed: of all three.
        progress: called with (epochs done, epochs in all), over the three.
        curves: takes those of the student as ``fit_reward_model`` does, those of the teacher under
            ``teacher/`` and those of the pair under ``pair/``.
        whole: as for ``fit_reward_model``.
        scratch: as for ``fit_reward_model``.

    Raises:
        ValueError: as ``fit_reward_model``, or the settings ask for no student.
    """
    if not settings.distil:
        raise ValueError("behaviour.distil is 0: there is no student to fit")
    as_pair = settings.model_copy(update={"distil": 0.0, "model": "pair"})

    def told(part: int, name: str) -> tuple[Progress | None, Curves | None]:
        return of_part(progress, part, 3), curves and curves.under(name)

    space = fit_space(log, settings.components)
    with fitting_rows(log, settings, whole, scratch) as fit:
        teacher = fit_cross_fitted(fit, space, seed, *told(0, "teacher"))
        student = fit_student(teacher, fit, seed, of_part(progress, 1, 3), curves)
        alone = replace(fit, settings=as_pair)
        return Taught(teacher, student, fit_cross_fitted(alone, space, seed, *told(2, "pair")))
