"""One night's search: what is tried, and whether tomorrow's hyper-parameters are others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mrlm.meta.hyperparameters.conservative_choice import shown_better, still_better
from mrlm.meta.hyperparameters.halving import halved
from mrlm.meta.hyperparameters.hyperparameter_record import HyperparameterRecord, SearchedNight
from mrlm.meta.hyperparameters.hyperparameter_space import HyperparameterSpace
from mrlm.meta.hyperparameters.night_conditions import Conditions
from mrlm.meta.hyperparameters.prequential import PrequentialScores
from mrlm.meta.hyperparameters.seeding_model import seeded_order
from mrlm.meta.problem.tuning_problem import TuningProblem
from mrlm.meta.settings import TuningSettings


def settings_of_night(record: HyperparameterRecord, typed: TuningSettings) -> TuningSettings:
    """Tonight's settings: the typed ones with what the nights before left of those that may move.

    A record of another space, or none, leaves them as they are typed.
    """
    space = HyperparameterSpace.around(typed)
    left = space.known(record.chosen)
    return typed if left is None else space.applied(typed, left)


def record_of_night(
    past: HyperparameterRecord,
    elsewhere: HyperparameterRecord,
    problem: TuningProblem,
    oldest: int,
    typed: TuningSettings,
    night: str,
    seed: int,
) -> HyperparameterRecord:
    """The record with tonight's search; a pure function, the same arguments give the same bits.

    Args:
        past: of the nights before.
        elsewhere: another deployment's, which seeds the search too.
        problem: rounds of the tune nights, undecayed.
        oldest: age of the oldest night of tonight's regime.
        typed: the settings as they are typed.
        night: newest tune night, ISO date.
        seed: of the night.

    Returns:
        ``past`` itself where no night can be scored, or weights are fixed by hand.
    """
    if typed.weights is not None:
        return past
    space = HyperparameterSpace.around(typed)
    default, own = space.of(typed), space.of(settings_of_night(past, typed))
    # Settings are told apart by one measure, whichever clip tonight's weights were tuned with.
    regime = problem.rounds(np.flatnonzero(problem.age <= oldest))
    regime = replace(regime, weight_clip=typed.weight_clip)
    scores = PrequentialScores(regime, typed, space, seed)
    if not scores.ages:
        return past
    conditions = Conditions.of(regime, typed)
    order = seeded_order(space, (*elsewhere.nights, *past.nights), conditions, seed)
    tried = [s for s in order if s not in (default, own)][: typed.hyperparameter_trials]
    trials = halved(scores, default, tried)
    # Tonight's is asked on all nights, whatever the newest says of it.
    kept = None if own == default else scores.trial(own, default, scores.ages)
    trials = (*trials, *([] if kept is None else [kept]))
    better = shown_better(trials, len(scores.ages), typed.hyperparameter_confidence)
    chosen = (better or still_better(kept) or trials[0]).setting
    return past.after(SearchedNight(night, conditions, trials, chosen))
