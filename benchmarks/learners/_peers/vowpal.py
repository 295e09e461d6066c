"""Vowpal Wabbit's contextual bandits on a context vector and a fixed set of actions.

One model over pairs of a number of the context and an action (``--cb_adf -q sa``), which is a
linear model an action, as obp's classifier has. Costs are minus the reward.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.learners._context_bandit import Floats, LoggedRounds

# Passes over the log after which the model is looked at.
PASSES = (1, 4)


def best_actions(
    logged: LoggedRounds, new: Floats, kind: str, seed: int
) -> dict[int, NDArray[np.int64]]:
    """Best action of every new context, by the number of passes.

    Args:
        logged: what is learned from.
        new: contexts, shape (m, d).
        kind: ``dr`` or ``mtr``.
        seed: of the order of later passes.
    """
    from vowpalwabbit import Workspace

    n, k = logged.propensity.shape
    learner = Workspace(f"--cb_adf --cb_type {kind} -q sa --quiet --random_seed {seed + 1}")
    examples = []
    for i, context in enumerate(_contexts(logged.context)):
        action = int(logged.action[i])
        label = f"0:{-logged.reward[i]}:{logged.propensity[i, action]} "
        lines = [f"{label if a == action else ''}|a a{a}" for a in range(k)]
        examples.append(learner.parse([context, *lines]))
    asked = [[context, *(f"|a a{a}" for a in range(k))] for context in _contexts(new)]
    order, out = np.random.default_rng(seed), {}
    for done in range(1, max(PASSES) + 1):
        for i in np.arange(n) if done == 1 else order.permutation(n):
            learner.learn(examples[i])
        if done in PASSES:
            out[done] = np.array([int(np.argmin(learner.predict(lines))) for lines in asked])
    for example in examples:
        learner.finish_example(example)
    learner.finish()
    return out


def _contexts(context: Floats) -> list[str]:
    return [
        "shared |s " + " ".join(f"{j}:{value:.6g}" for j, value in enumerate(row))
        for row in context
    ]
