"""The next arm of Bayesian optimisation by BoTorch: run by the peer's own Python.

``python botorch_arms.py FILE.npz`` prints as JSON, for each run, the arm to try next and the one
with the largest expected mean.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

# Drawn points of the simplex among which arms are chosen, and nights that are drawn at random.
DRAWN, FIRST = 1024, 3


def arms(found: Any) -> list[dict[str, list[float]]]:
    """Of arms (runs, t, m) on the simplex with their observed means and variances (runs, t)."""
    rng = np.random.default_rng(int(found["seed"]))
    told = zip(found["arms"], found["means"], found["variances"], strict=True)
    return [_chosen(arm, mean, variance, rng) for arm, mean, variance in told]


def _chosen(arm: Any, mean: Any, variance: Any, rng: np.random.Generator) -> dict[str, list[float]]:
    drawn = rng.dirichlet(np.ones(arm.shape[1]), DRAWN)
    if len(arm) <= FIRST:
        return {"next": drawn[0].tolist(), "best": arm[mean.argmax()].tolist()}
    import torch
    from botorch import fit_gpytorch_mll
    from botorch.acquisition import LogExpectedImprovement
    from botorch.models import SingleTaskGP
    from gpytorch.mlls import ExactMarginalLogLikelihood

    torch.set_num_threads(1)
    torch.manual_seed(0)
    x, y, noise = (torch.as_tensor(a, dtype=torch.float64) for a in (arm, mean, variance))
    model = SingleTaskGP(x, y[:, None], noise[:, None])
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    candidates = torch.as_tensor(np.concatenate([drawn, arm]))
    with torch.no_grad():
        expected = model.posterior(candidates).mean[:, 0]
        gain = LogExpectedImprovement(model, model.posterior(x).mean.max())
        promise = gain(candidates[:DRAWN, None, :])
    best = int(expected.argmax())
    return {"next": drawn[int(promise.argmax())].tolist(), "best": candidates[best].tolist()}


if __name__ == "__main__":
    print(json.dumps(arms(np.load(sys.argv[1]))))
