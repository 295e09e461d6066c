"""IPWLearner of obp 0.4.1, on a world whose candidate sets change with every decision.

The class wants one fixed set of actions and learns a classifier over them, weighed by reward over
propensity. Here the actions are the films that were rewarded often enough on the fit nights, the
context is the user's state (what our models read of the user, not of the candidate), and at a
decision the classifier's probabilities are compared among the candidates alone. A candidate that
is no action has probability 0; where all are such, they are taken at equal chance. Rows without a
reward have weight 0 in the class's own reduction, so they are left out before it.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from benchmarks.learners._peers.contract import Floats, Score, star_rewards
from mrlm.bandit_log import BanditLog, Decisions
from mrlm.behaviour.features.pair_features import PairFeatures

# Decisions whose probabilities of all actions are looked at together.
_BLOCK = 4096


@dataclass(frozen=True)
class IpwClassifier:
    """The class with its default classifier, a logistic regression.

    Attributes:
        least: rewarded shows of a film that is an action.
        penalty: inverse strength of the regression's penalty.
    """

    least: int
    penalty: float

    @property
    def name(self) -> str:
        """Its settings."""
        return f"films of at least {self.least} rewards, C {self.penalty:g}"

    def fit(self, log: BanditLog, shown: PairFeatures) -> Score:
        """See ``Peer``."""
        from obp.policy import IPWLearner
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        reward = star_rewards(log)
        count = np.bincount(shown.item, weights=reward, minlength=len(log.decisions.catalog))
        actions = np.flatnonzero(count >= self.least)
        kept = (reward > 0) & (count[shown.item] >= self.least)
        user = shown.user_vectors
        scale = user.std(axis=0)
        scale[scale == 0] = 1.0
        learner = IPWLearner(
            n_actions=len(actions),
            base_classifier=LogisticRegression(C=self.penalty, max_iter=60),
        )
        # Its optimiser stops at the number of steps that is set above.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            learner.fit(
                context=(user[shown.row[kept]] / scale).astype(np.float64),
                action=np.searchsorted(actions, shown.item[kept]),
                reward=reward[kept],
                pscore=log.propensity[kept],
            )
        place = np.full(len(count), len(actions))
        place[actions] = np.arange(len(actions))

        def score(decisions: Decisions, features: PairFeatures) -> Floats:
            out = np.empty(len(features.item))
            offsets = decisions.offsets
            for start in range(0, len(decisions), _BLOCK):
                stop = min(start + _BLOCK, len(decisions))
                context = (features.user_vectors[start:stop] / scale).astype(np.float64)
                found = learner.predict_score(context)[:, :, 0]
                found = np.column_stack([found, np.zeros(stop - start)])
                part = slice(int(offsets[start]), int(offsets[stop]))
                out[part] = found[features.row[part] - start, place[features.item[part]]]
            return out

        return score


SETTINGS = (IpwClassifier(10, 1e-4), IpwClassifier(10, 0.01), IpwClassifier(3, 0.01))
