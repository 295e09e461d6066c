"""Fit the reward model on the fit nights."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.stored.shown_nights import ShownNights
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.features.space import fit_space
from mrlm.behaviour.fitting.cross_fitted import fit_cross_fitted
from mrlm.behaviour.fitting.distilled import fit_student
from mrlm.behaviour.fitting.fit_rows import FitRows
from mrlm.behaviour.fitting.stored_outcomes import StoredOutcomes
from mrlm.behaviour.fitting.training_curves import Progress, of_part
from mrlm.behaviour.settings import BehaviourSettings
from mrlm.metrics.curves import Curves


def fit_reward_model(
    log: BanditLog,
    settings: BehaviourSettings,
    seed: int,
    progress: Progress | None = None,
    curves: Curves | None = None,
    whole: ShownNights | None = None,
    scratch: Path | None = None,
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
        whole: all decisions of the log's nights, where the log holds those of some users: what is
            kept of each item, its mean rewards and its loadings, is fitted to all of them, and the
            rest to the log. None: the log is all there is.
        scratch: a folder on whose disk what these brought is kept meanwhile; None: the system's.

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
    with fitting_rows(log, settings, whole, scratch) as fit:
        space = fit_space(log, settings.components)
        if not settings.distil:
            return fit_cross_fitted(fit, space, seed, progress, curves)
        of_teacher = curves and curves.under("teacher")
        teacher = fit_cross_fitted(fit, space, seed, of_part(progress, 0, 2), of_teacher)
        return fit_student(teacher, fit, seed, of_part(progress, 1, 2), curves)


@contextmanager
def fitting_rows(
    log: BanditLog,
    settings: BehaviourSettings,
    whole: ShownNights | None = None,
    scratch: Path | None = None,
) -> Iterator[FitRows]:
    """The rows of a log, as long as the disk holds what all decisions brought.

    Args and errors are those of ``fit_reward_model``.
    """
    if whole is None:
        yield FitRows.of(log, settings)
        return
    with tempfile.TemporaryDirectory(dir=scratch, prefix="outcomes-") as folder:
        yield FitRows.of(log, settings, StoredOutcomes.write(whole, settings, Path(folder)))
