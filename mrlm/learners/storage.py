"""Stored scorers, whichever learner or model made them, and the baselines as one folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mrlm.behaviour.ensemble.storage import KINDS, load_reward_model
from mrlm.learners.baselines.registry import BASELINE_LOADERS
from mrlm.learners.registry import LEARNERS
from mrlm.learners.scorer import LearnedScorer, load_scorer
from mrlm.policies.contract import Policy, Scorer
from mrlm.policies.greedy import Greedy
from mrlm.policies.rarity import KIND, load_rarity
from mrlm.policies.storage import load_policy, save_policy


def load_learned(folder: Path) -> LearnedScorer:
    """Read a learned scorer.

    Raises:
        ValueError: no learner of this version has the stored kind.
    """
    kind = json.loads((folder / "scorer.json").read_text()).get("kind")
    if kind not in LEARNERS:
        raise ValueError(f"{folder}: scorer of kind {kind!r}; this version knows {list(LEARNERS)}")
    return load_scorer(folder)


# For mrlm.policies.storage.load_policy.
SCORER_LOADERS: Mapping[str, Callable[[Path], Scorer]] = {
    **dict.fromkeys(KINDS, load_reward_model),
    **dict.fromkeys(LEARNERS, load_learned),
    **BASELINE_LOADERS,
    KIND: load_rarity,
}


def save_baselines(policies: Mapping[str, Policy], folder: Path) -> None:
    """Write policies by their names into a new folder; see ``fit_baselines``.

    Raises:
        FileExistsError: the folder holds a policy of one of these names.
    """
    for name, policy in policies.items():
        save_policy(policy, folder / name)


def load_baselines(folder: Path) -> dict[str, Policy]:
    """Name to policy, by name, of what ``save_baselines`` wrote.

    Raises:
        ValueError: the folder holds a kind of policy or scorer that is not known.
    """
    return {p.name: load_policy(p, SCORER_LOADERS) for p in sorted(folder.iterdir())}


def load_baseline_scores(folder: Path, names: Sequence[str]) -> tuple[Scorer, ...]:
    """What the baselines of these names score by, of what ``save_baselines`` wrote.

    Raises:
        FileNotFoundError: there is no baseline of a name.
    """
    policies = (load_policy(folder / name, SCORER_LOADERS) for name in names)
    return tuple(p.scorer for p in policies if isinstance(p, Greedy))
