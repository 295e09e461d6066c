"""The features that the tuned policy weighs: what scorers give, and the known rewards."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions, Objective
from mrlm.bandit_log.known_rewards import known_rewards
from mrlm.policies.contract import Scorer

# A scorer's column of this name enters with a minus sign: its weight is the pessimism.
UNCERTAINTY = "uncertainty"


def feature_columns(scorers: tuple[Scorer, ...], known: tuple[Objective, ...]) -> tuple[str, ...]:
    """Names of the columns of ``feature_matrix``."""
    return tuple(c for s in scorers for c in s.columns) + tuple(o.name for o in known)


def feature_matrix(
    decisions: Decisions, scorers: tuple[Scorer, ...], known: tuple[Objective, ...]
) -> NDArray[np.float64]:
    """Features of every candidate before standardisation, float64, shape (N, columns)."""
    # Block by block, so that scorers that share a model find it at the same decisions.
    found = [_of_block(part, scorers, known) for _, part in decisions.blocks()]
    if len(found) == 1:
        return found[0]
    return np.concatenate([np.zeros((0, len(feature_columns(scorers, known)))), *found])


def _of_block(
    decisions: Decisions, scorers: tuple[Scorer, ...], known: tuple[Objective, ...]
) -> NDArray[np.float64]:
    parts = [_scored(s, decisions) for s in scorers]
    parts += [known_rewards(decisions, o)[:, None] for o in known]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([np.zeros((len(decisions.candidates.values), 0)), *parts], axis=1)


def _scored(scorer: Scorer, decisions: Decisions) -> NDArray[np.float64]:
    values, columns = scorer.score(decisions), scorer.columns
    if UNCERTAINTY in columns:
        # Scorers keep what they gave: it is copied before a sign changes.
        values = values.copy()
        at = columns.index(UNCERTAINTY)
        values[:, at] = -values[:, at]
    return values
