"""The learners by name: a new one is a file of its own and one entry here."""

from __future__ import annotations

from mrlm.learners.bandit.policy_gradient import PolicyGradient
from mrlm.learners.contract import Learner
from mrlm.learners.sequential.q_learning import QLearning

LEARNERS: dict[str, Learner] = {
    learner.name: learner
    for learner in (
        PolicyGradient(),
        QLearning(),
    )
}
"""The learners that a night trains, by their name in the settings.

Examples:
    >>> from mrlm import LEARNERS
    >>> LEARNERS["policy_gradient"].name
    'policy_gradient'
"""
