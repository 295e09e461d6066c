"""How long a learner trains: while what it learned is worth more to users who were held back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mrlm.bandit_log.objectives import north_star
from mrlm.bandit_log.ragged import gather
from mrlm.bandit_log.user_folds import crc, user_folds
from mrlm.behaviour.networks.network import evaluate
from mrlm.learners.choice import choose_on
from mrlm.learners.contract import Learner
from mrlm.learners.inputs import LearningSample, expected_rewards, part_of
from mrlm.learners.scorer import LearnedScorer
from mrlm.learners.settings import LearningSettings
from mrlm.metrics.curves import Curves


@dataclass(frozen=True)
class Stopped:
    """What a learner made of the whole sample, and why it took so many passes.

    Attributes:
        scorer: what was learned.
        epochs: passes over the sample.
        values: by passes that were tried, the value of the north star for users who were held
            back; empty where the settings fix the passes.
    """

    scorer: LearnedScorer
    epochs: int
    values: dict[int, float]

    def told(self) -> dict[str, int | dict[str, float]]:
        """Passes and values, for a manifest."""
        return {"epochs": self.epochs, "values": {str(e): v for e, v in self.values.items()}}


def learn_until_best(
    learner: Learner,
    sample: LearningSample,
    settings: LearningSettings,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
    curves: Curves | None = None,
) -> Stopped:
    """Learn on the whole sample, for as many passes as users who were held back tell.

    One fold of the users is held back; its features come from the reward model's member that never
    saw it. The learner takes 1, 2, 4 passes over all others, up to ``settings.most_epochs``, and
    stops once twice as many are worth no more: the value is the doubly robust one of the policy
    that is greedy by the score, with ``settings.floor``. Each number of passes starts anew, since
    some learners lower their step size towards the end; all of them together cost less than twice
    the last. Where ``most_epochs`` is not set, there are ``settings.epochs`` passes.

    Args:
        learner: learns.
        sample: of the fit nights.
        settings: of the learner.
        seed: of the learner.
        progress: called with (epochs done, epochs in all) of the last training.
        curves: takes the last training's mean loss by epoch, and the values by passes.

    Raises:
        ValueError: the users who were held back have no final north star.
    """
    values = {} if settings.most_epochs is None else _values(learner, sample, settings, seed)
    epochs = max(values, key=lambda e: values[e]) if values else settings.epochs
    whole = settings.model_copy(update={"epochs": epochs})
    if curves is not None:
        for passes, value in values.items():
            curves.add(f"{learner.name}/held_back_value", passes, value)

    def told(done: int, epochs: int, loss: float) -> None:
        if curves is not None:
            curves.add(f"{learner.name}/loss", done, loss)
        if progress is not None:
            progress(done, epochs)

    return Stopped(learner.learn(sample, whole, seed, told), epochs, values)


def _values(
    learner: Learner, sample: LearningSample, settings: LearningSettings, seed: int
) -> dict[int, float]:
    """Value for users who were held back by passes, up to the first that is no more."""
    log = sample.log
    fold = user_folds(log.decisions.user, sample.reward_model.folds, crc())
    held = np.flatnonzero(fold == 0)
    others = part_of(sample, np.flatnonzero(fold != 0))
    flat, _ = gather(log.decisions.offsets, held)
    features, judged = sample.inputs.features.take(flat), log.take(held)
    q = expected_rewards(sample)[flat, log.column(north_star(log.objectives).name)]
    values: dict[int, float] = {}
    epochs = 1
    while epochs <= (settings.most_epochs or 0):
        own = settings.model_copy(update={"epochs": epochs})
        network = learner.learn(others, own, seed).network
        scores = {learner.name: evaluate(network, features, 1)[:, 0]}
        values[epochs] = choose_on(judged, scores, q, settings.floor).values[learner.name].value
        if values[epochs] < max(values.values()):
            break
        epochs *= 2
    return values
