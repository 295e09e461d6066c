"""Nightly, proven retraining of recommender policies from logged bandit feedback.

The names below are the library's front door. Each is imported when it is first asked for, so that
``import mrlm`` costs nothing. The library's own modules import from the rooms, never from here.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mrlm.bandit_log import BanditLog, Catalog, Decisions, Objective
    from mrlm.bandit_log.stored.reader import read_bandit_log
    from mrlm.behaviour.fitting.fit import fit_reward_model
    from mrlm.behaviour.settings import BehaviourSettings
    from mrlm.learners import LEARNERS, LearnedPolicy, LearningSettings, learning_sample
    from mrlm.learners.baselines import fit_baselines
    from mrlm.ope import (
        ESTIMATORS,
        EvaluationBatch,
        EvaluationState,
        Thresholds,
        difference,
        estimates,
        select,
    )
    from mrlm.ope.table import evaluate_table
    from mrlm.policies.contract import Policy
    from mrlm.policies.greedy import Greedy
    from mrlm.policies.uniform import Uniform
    from mrlm.promotion.registry.champion import champion
    from mrlm.promotion.registry.place import RegistryPlace
    from mrlm.promotion.serving.answer import answer
    from mrlm.promotion.serving.bundle import PolicyBundle
    from mrlm.worlds.latent import latent_log

# The one place where the version is written: pyproject.toml reads it from here. A registered
# version carries a copy of this package, which has to know its version without being installed.
__version__ = "0.1.0"

_ROOM_OF = {
    "BanditLog": "bandit_log",
    "BehaviourSettings": "behaviour.settings",
    "Catalog": "bandit_log",
    "Decisions": "bandit_log",
    "ESTIMATORS": "ope",
    "EvaluationBatch": "ope",
    "EvaluationState": "ope",
    "Greedy": "policies.greedy",
    "LEARNERS": "learners",
    "LearnedPolicy": "learners",
    "LearningSettings": "learners",
    "Objective": "bandit_log",
    "Policy": "policies.contract",
    "PolicyBundle": "promotion.serving.bundle",
    "RegistryPlace": "promotion.registry.place",
    "Thresholds": "ope",
    "Uniform": "policies.uniform",
    "answer": "promotion.serving.answer",
    "champion": "promotion.registry.champion",
    "difference": "ope",
    "estimates": "ope",
    "evaluate_table": "ope.table",
    "fit_baselines": "learners.baselines",
    "fit_reward_model": "behaviour.fitting.fit",
    "latent_log": "worlds.latent",
    "learning_sample": "learners",
    "read_bandit_log": "bandit_log.stored.reader",
    "select": "ope",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOM_OF})


__all__ = [
    "ESTIMATORS",
    "LEARNERS",
    "BanditLog",
    "BehaviourSettings",
    "Catalog",
    "Decisions",
    "EvaluationBatch",
    "EvaluationState",
    "Greedy",
    "LearnedPolicy",
    "LearningSettings",
    "Objective",
    "Policy",
    "PolicyBundle",
    "RegistryPlace",
    "Thresholds",
    "Uniform",
    "answer",
    "champion",
    "difference",
    "estimates",
    "evaluate_table",
    "fit_baselines",
    "fit_reward_model",
    "latent_log",
    "learning_sample",
    "read_bandit_log",
    "select",
]
