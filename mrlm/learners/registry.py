"""The learners by name: a new one is a file of its own and one entry here."""

from __future__ import annotations

from mrlm.learners.bandit.cost_sensitive import CostSensitive
from mrlm.learners.bandit.ips_gradient import IpsGradient
from mrlm.learners.bandit.logarithmic_smoothing import LogarithmicSmoothing
from mrlm.learners.bandit.poem import Poem
from mrlm.learners.bandit.policy_gradient import PolicyGradient
from mrlm.learners.bandit.snips_gradient import SnipsGradient
from mrlm.learners.bandit.top_k_reinforce import TopKReinforce
from mrlm.learners.bandit.weighted_classification import WeightedClassification
from mrlm.learners.contract import Learner
from mrlm.learners.sequential.advantage_weighted_regression import AdvantageWeightedRegression
from mrlm.learners.sequential.batch_constrained_q_learning import BatchConstrainedQLearning
from mrlm.learners.sequential.clipped_policy_optimisation import ClippedPolicyOptimisation
from mrlm.learners.sequential.double_q_learning import DoubleQLearning
from mrlm.learners.sequential.implicit_q_learning import ImplicitQLearning
from mrlm.learners.sequential.q_learning import QLearning
from mrlm.learners.sequential.vector_policy_iteration import VectorPolicyIteration

LEARNERS: dict[str, Learner] = {
    learner.name: learner
    for learner in (
        CostSensitive(),
        IpsGradient(),
        LogarithmicSmoothing(),
        Poem(),
        PolicyGradient(),
        QLearning(),
        SnipsGradient(),
        TopKReinforce(),
        WeightedClassification(),
        DoubleQLearning(),
        ImplicitQLearning(),
        BatchConstrainedQLearning(),
        AdvantageWeightedRegression(),
        ClippedPolicyOptimisation(),
        VectorPolicyIteration(),
    )
}
"""The learners that a night trains, by their name in the settings.

Examples:
    >>> from mrlm import LEARNERS
    >>> LEARNERS["policy_gradient"].name
    'policy_gradient'
"""
