"""Read stored scorers, whichever learner or model made them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from mrlm.behaviour.reward_model import KIND, load_reward_model
from mrlm.learners.registry import LEARNERS
from mrlm.learners.scorer import LearnedScorer, load_scorer
from mrlm.policies.contract import Scorer


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
    KIND: load_reward_model,
    **dict.fromkeys(LEARNERS, load_learned),
}
