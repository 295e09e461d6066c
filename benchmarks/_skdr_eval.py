"""skdr-eval 0.12 on our logs: what it can take of them, and its intervals.

Its ``evaluate_sklearn_models`` takes a table and models: it estimates the propensities itself,
takes the policy from a model's predictions over one fixed list of actions, and has no place for
the propensities that were logged, for a policy given by its probabilities, or for candidate sets.
The step below it, ``dr_value_with_clip``, takes all three as dense matrices, so it is called, and
then ``block_bootstrap_ci`` as the evaluation itself does, over rows in the order of users.

It takes one prediction a row, which stands for the direct term too. For the shown item, as its own
fit makes it, that is biased towards the logger; the mean of q under the policy does not depend on
the item, so the estimate is unbiased. The best settings are thus the logged propensities, that mean
and no clip; without predictions (0) the same are IPS and SNIPS.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrlm.ope import EvaluationBatch

Interval = tuple[float, float]
BEST, OWN = "best settings", "its defaults"


def intervals(batch: EvaluationBatch, level: float, seed: int) -> dict[tuple[str, str], Interval]:
    """Intervals of the first objective by the name of our estimator and the settings.

    Raises:
        ImportError: skdr-eval is not installed; ``make bench-peers`` does it.
    """
    from skdr_eval.core import block_bootstrap_ci, dr_value_with_clip

    order = np.argsort(batch.cluster, kind="stable")
    dense = {k: x[order] for k, x in _dense(batch).items()}
    q = {
        "none": np.zeros(len(batch)),
        "mean": batch.direct[order, 0],
        "shown": batch.shown_predictions[order, 0],
    }
    reward, action = dense.pop("reward"), dense.pop("action").astype(np.int64)
    unclipped = (float("inf"),)
    every = {
        ("ips", BEST): ("DR", "none", unclipped),
        ("snips", BEST): ("SNDR", "none", unclipped),
        ("dr", BEST): ("DR", "mean", unclipped),
        ("dr", OWN): ("DR", "shown", (2, 5, 10, 20, 50, float("inf"))),
    }
    rows = np.arange(len(batch))
    target, logged = (
        dense[name][rows, action].astype(np.float64) for name in ("policy_probs", "propensities")
    )
    weight = target / logged
    found = {}
    for key, (kind, prediction, grid) in every.items():
        q_hat = q[prediction]
        result = dr_value_with_clip(**dense, Y=reward, q_hat=q_hat, A=action, clip_grid=grid)[kind]
        kept = np.minimum(weight, result.clip)
        share = len(kept) / kept.sum() if kind == "SNDR" else 1.0
        lower, upper = block_bootstrap_ci(
            q_hat + share * kept * (reward - q_hat),
            None,
            np.array([result.V_hat]),
            alpha=1 - level,
            random_state=seed,
        )
        found[key] = (lower, upper)
    return found


def _dense(batch: EvaluationBatch) -> dict[str, NDArray[np.generic]]:
    """Its matrices over the places of each candidate set, which stand for the actions."""
    n, lengths = len(batch), np.diff(batch.offsets)
    row = np.repeat(np.arange(n), lengths)
    place = np.arange(len(row)) - batch.offsets[:-1][row]
    logged = batch.candidate_propensity
    assert logged is not None
    wide = {k: np.zeros((n, int(lengths.max()))) for k in ("policy_probs", "propensities", "elig")}
    wide["policy_probs"][row, place] = batch.target
    wide["propensities"][row, place] = logged
    wide["elig"][row, place] = 1.0
    return {
        **wide,
        "reward": batch.rewards[:, 0],
        "action": batch.shown - batch.offsets[:-1],
    }
