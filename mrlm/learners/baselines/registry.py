"""The baselines by name: a new one is a file of its own and a line in each table here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from mrlm.bandit_log import BanditLog
from mrlm.learners.baselines.contract import Baseline
from mrlm.learners.baselines.item_mean import fit_item_mean
from mrlm.learners.baselines.item_scores import load_item_scores
from mrlm.learners.baselines.item_sums import ItemSums
from mrlm.learners.baselines.nearest_neighbours import (
    fit_nearest_neighbours,
    load_nearest_neighbours,
)
from mrlm.learners.baselines.popularity import fit_popularity, fit_recent_popularity
from mrlm.policies.contract import Scorer
from mrlm.policies.greedy import Greedy

BASELINES: Mapping[str, Baseline] = {
    "item_mean": fit_item_mean,
    "popularity": fit_popularity,
    "recent_popularity": fit_recent_popularity,
    "nearest_neighbours": fit_nearest_neighbours,
}

BASELINE_LOADERS: Mapping[str, Callable[[Path], Scorer]] = {
    "item_mean": load_item_scores,
    "popularity": load_item_scores,
    "recent_popularity": load_item_scores,
    "nearest_neighbours": load_nearest_neighbours,
}


def fit_baselines(
    log: BanditLog,
    objective: str,
    floor: float,
    whole: Iterable[BanditLog] | None = None,
) -> dict[str, Greedy]:
    """Every baseline as a policy that takes its best candidate, with uniform exploration.

    Args:
        log: decisions to fit on.
        objective: name of the objective that is to be high, such as the north star.
        floor: share of exploration; a comparison is fair at the floor of what they are compared
            with.
        whole: all decisions of the log's nights in parts, where the log holds those of some users:
            what is one number an item is taken from these.

    Returns:
        Name to policy.

    Raises:
        KeyError: the log has no such objective.

    Examples:
        >>> from mrlm import fit_baselines, latent_log
        >>> log, truth = latent_log(n_users=200, decisions_per_user=10, n_candidates=4, seed=0)
        >>> nights = sorted(set(log.night.astype(str)))
        >>> baselines = fit_baselines(log.on_nights(nights[:4]), "like", floor=0.1)
        >>> sorted(baselines)
        ['item_mean', 'nearest_neighbours', 'popularity', 'recent_popularity']
        >>> baselines["item_mean"].log_probabilities(log.decisions).shape
        (8000,)
    """
    sums = None if whole is None else ItemSums.of(whole, objective)
    return {name: Greedy(fit(log, objective, sums), floor, name) for name, fit in BASELINES.items()}
