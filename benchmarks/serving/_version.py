"""A version of the latent world, tuned as deep as the meta-update allows."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Catalog, Decisions, Ragged
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.behaviour.settings import BehaviourSettings
from mrlm.meta.challenger import anchor_of
from mrlm.policies.contract import Policy
from mrlm.policies.features import feature_columns, feature_matrix
from mrlm.policies.standardise import Standardiser
from mrlm.policies.tuned import Tuned
from mrlm.policies.uniform import Uniform
from mrlm.promotion.serving.bundle import PolicyBundle, load_bundle, save_bundle
from mrlm.promotion.serving.live import LiveVersion
from mrlm.promotion.serving.states import STATES_SCHEMA, last_states, states_table
from mrlm.worlds.latent import LatentModel, latent_log

ITEMS = 10_000
Model = Literal["pair", "history"]
_FACTORS, _SEED = 5, 7


@cache
def _log() -> BanditLog:
    g = np.random.default_rng(_SEED)
    names = [f"m{n:06d}" for n in range(ITEMS)]
    model = LatentModel(
        catalog=replace(
            Catalog.of_names(names), attributes={"popularity": g.lognormal(size=ITEMS)}
        ),
        mean=3.5,
        item_bias=g.normal(0, 0.4, ITEMS),
        item_factor=g.normal(0, 0.3, (ITEMS, _FACTORS)),
        user_mean=np.zeros(_FACTORS + 1),
        user_covariance=np.eye(_FACTORS + 1),
        noise=0.8,
    )
    return latent_log(600, 12, 20, seed=_SEED, model=model)[0]


def live(model: Model) -> LiveVersion:
    """The version over the world's catalogue, by a behaviour model; no user is known."""
    log = _log()
    bundle = PolicyBundle(
        _deepest(log, model), log.decisions.catalog, "bench", "2026-11-20", "", "", log.objectives
    )
    return _quick(bundle)


def save(version: LiveVersion, folder: Path) -> None:
    """Keep the version for another process."""
    save_bundle(version.bundle, folder)


def load(folder: Path) -> LiveVersion:
    """What ``save`` kept."""
    return _quick(load_bundle(folder))


def _quick(bundle: PolicyBundle) -> LiveVersion:
    """In the precision that the world's users allow, and knowing none of them."""
    version = LiveVersion("bench@1", bundle, states_table(last_states(_log()))).quickest()
    return replace(version, states=STATES_SCHEMA.empty_table())


def decisions(version: LiveVersion, many: int, candidates: int) -> Decisions:
    """The newest decisions of the world's log, with candidate sets of another size."""
    log, g = _log(), np.random.default_rng(_SEED)
    # The oldest look back on nothing, and cost less.
    rows: NDArray[np.int64] = len(log) - 1 - np.arange(many) % len(log)
    sets = g.integers(0, len(version.bundle.catalog), (many, candidates)).astype(np.int32)
    offsets = np.arange(many + 1, dtype=np.int64) * candidates
    return replace(log.decisions.take(rows), candidates=Ragged(offsets, sets.ravel()))


def _deepest(log: BanditLog, name: Model) -> Policy:
    """Each over a reward model of its own and over the one before, until no deeper one is made."""
    policy: Policy = Uniform()
    for seed in range(100):
        if anchor_of(policy) is not policy:
            return policy
        model = fit_reward_model(log, BehaviourSettings(epochs=2, model=name), seed)
        columns = feature_columns((model,), ())
        standardiser = Standardiser.fit(columns, feature_matrix(log.decisions, (model,), ()))
        theta = np.full(len(columns), 0.5)
        policy = Tuned(policy, (model,), (), standardiser, 0.5, theta, 0.1)
    raise RuntimeError("the meta-update limits no depth")
