"""Fit the reward model on the fit nights."""

from __future__ import annotations

from mrlm.bandit_log import BanditLog
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.features.space import fit_space
from mrlm.behaviour.fitting.cross_fitted import fit_cross_fitted
from mrlm.behaviour.fitting.distilled import fit_student
from mrlm.behaviour.fitting.fit_rows import FitRows
from mrlm.behaviour.fitting.training_curves import Progress, of_part
from mrlm.behaviour.settings import BehaviourSettings
from mrlm.metrics.curves import Curves


def fit_reward_model(
    log: BanditLog,
    settings: BehaviourSettings,
    seed: int,
    progress: Progress | None = None,
    curves: Curves | None = None,
) -> RewardModel:
    """Fit one network a fold on the other folds' users, then calibrate on the users left out.

    At the end its uncertainty is fitted, see ``with_posterior``. Only final rewards are learned
    from. The same log, settings and seed give the same model. Where ``settings.distil`` asks for
    it, what is given is the student of that model, see ``fit_student``.

    Args:
        log: decisions of the fit nights, with an embedded catalogue.
        settings: sizes and rates.
        seed: of weights, order of rows and dropout.
        progress: called with (epochs done, epochs in all).
        curves: takes the mean loss by epoch of each fold's network, on its rows and on the rows of
            the users that were left out; a teacher's are under ``teacher/``.

    Raises:
        ValueError: the log is empty, has no embedding, a fold has no user, the north star has no
            final reward, or rows are to be weighed and one has no propensity.

    Examples:
        >>> from mrlm import BehaviourSettings, fit_reward_model, latent_log
        >>> log, _ = latent_log(n_users=100, decisions_per_user=6, n_candidates=4, seed=0)
        >>> small = BehaviourSettings(folds=2, components=4, hidden=8, projection=4, epochs=1)
        >>> model = fit_reward_model(log, small, seed=0)
        >>> model.heads
        ('like', 'rating')
        >>> model.columns
        ('like', 'rating', 'uncertainty')
        >>> model.score(log.decisions).shape
        (2400, 3)
    """
    fit, space = FitRows.of(log, settings), fit_space(log, settings.components)
    if not settings.distil:
        return fit_cross_fitted(fit, space, seed, progress, curves)
    of_teacher = curves and curves.under("teacher")
    teacher = fit_cross_fitted(fit, space, seed, of_part(progress, 0, 2), of_teacher)
    return fit_student(teacher, fit, seed, of_part(progress, 1, 2), curves)
