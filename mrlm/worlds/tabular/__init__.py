"""Small Markov decision processes whose truth is exact: solved, drawn, and logged.

Candidate sets are ragged and rewards are vectors, as in a bandit log. What learns over sessions is
held against ``policy_iteration`` here.
"""

from mrlm.worlds.tabular.exact_solution import (
    greedy,
    normalised_regret,
    policy_evaluation,
    policy_iteration,
    start_value,
    state_values,
    uniform,
    value_iteration,
)
from mrlm.worlds.tabular.small_models import chain, garnet, grid, hub, satisfaction
from mrlm.worlds.tabular.tabular_log import TabularLog, tabular_log
from mrlm.worlds.tabular.tabular_model import TabularModel

__all__ = [
    "TabularLog",
    "TabularModel",
    "chain",
    "garnet",
    "greedy",
    "grid",
    "hub",
    "normalised_regret",
    "policy_evaluation",
    "policy_iteration",
    "satisfaction",
    "start_value",
    "state_values",
    "tabular_log",
    "uniform",
    "value_iteration",
]
