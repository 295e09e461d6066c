"""Policy learning as obp's example has it: ten actions, five numbers of context, 10,000 rounds.

``SyntheticBanditDataset`` with its logistic rewards and its linear logging policy; the truth is the
expected reward of another 10,000 rounds, and the oracle takes the best action of each. IPWLearner
has its default logistic regression.

The bandit log has no column for a context vector, so our learners are given what they read
directly: the context as dense features and as the user's vector, the action's indicator as the
item's, and as expected rewards those of ``mrlm.behaviour.item_ridge``, cross-fitted, one regression
an action. The contenders are these expected rewards alone and each learner; which one is served is
chosen by ``mrlm.learners.choice`` on the log. All are greedy, without a floor, as the peer is.

20 seeds; quick: 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.learners._clock import Clock
from benchmarks.learners._finished import finished
from benchmarks.rows import Row
from mrlm.bandit_log import BanditLog, Catalog, Decisions, Objective, Ragged
from mrlm.bandit_log.catalog import ITEMS_SCHEMA
from mrlm.bandit_log.histories import Histories
from mrlm.bandit_log.user_folds import split_mix, user_folds
from mrlm.behaviour.features import PairFeatures
from mrlm.behaviour.item_ridge import SALT, item_ridge
from mrlm.behaviour.network import evaluate
from mrlm.learners.choice import (
    Contender,
    ExpectedReward,
    LearnedScore,
    choose_on,
    cross_fitted_scores,
)
from mrlm.learners.inputs import (
    LearningInputs,
    LearningSample,
    expected_rewards,
    part_of,
    score_features,
)
from mrlm.learners.registry import LEARNERS
from mrlm.learners.scalarisation import fit_scalarisation
from mrlm.learners.settings import LearningSettings

Floats = NDArray[np.float64]
SEEDS, QUICK_SEEDS = 20, 3
ROUNDS, ACTIONS, CONTEXT, FOLDS, MANY = 10_000, 10, 5, 3, 20
BAR, SECONDS = 0.984, 10.0
CHOSEN, PEER, LOGGER = "ours, chosen by the log", "IPWLearner (obp 0.4.1)", "logger"
_STAR = Objective(name="reward", source="feedback", role="north_star", event="reward")
_TIMES = ("context as features", "choice", "fit")


def run(quick: bool) -> list[Row]:
    """Mean value over the oracle's, ours and the peer's, and processor seconds."""
    if find_spec("obp") is None:
        return [Row("policy learning: seeds", 0, note="not run: obp is not installed")]
    kept = finished(__name__)
    cells = [
        kept.of(["policy learning", seed], lambda seed=seed: cell(seed))  # type: ignore[misc]
        for seed in range(QUICK_SEEDS if quick else SEEDS)
    ]
    return _rows(cells, judged=not quick)


def cell(seed: int) -> dict[str, Any]:
    """Value over the oracle's of every policy under one seed, and seconds."""
    from obp.dataset import (
        SyntheticBanditDataset,
        linear_behavior_policy,
        logistic_reward_function,
    )
    from obp.policy import IPWLearner

    world = SyntheticBanditDataset(
        n_actions=ACTIONS,
        dim_context=CONTEXT,
        reward_type="binary",
        reward_function=logistic_reward_function,
        behavior_policy_function=linear_behavior_policy,
        random_state=seed,
    )
    logged, new = (world.obtain_batch_bandit_feedback(ROUNDS) for _ in range(2))
    propensity = linear_behavior_policy(logged["context"], world.action_context, seed)
    truth = new["expected_reward"]
    clock = Clock()
    sample, of_new, fold = _sample(logged, new["context"], propensity)
    clock.lap("context as features")
    contenders = _contenders(seed)
    scores = cross_fitted_scores(sample, contenders, fold)
    choice = choose_on(sample.log, scores, expected_rewards(sample)[:, 0], 0.0)
    clock.lap("choice")
    every = np.arange(len(sample.log))
    served = {c.name: _new_scores(c, sample, of_new, every) for c in contenders}
    clock.lap("fit")
    peer = IPWLearner(n_actions=ACTIONS)
    peer.fit(logged["context"], logged["action"], logged["reward"], logged["pscore"])
    best = peer.predict(new["context"])[:, :, 0].argmax(1)
    clock.lap("peer")
    rows = np.arange(ROUNDS)
    values = {
        n: float(truth[rows, s.reshape(ROUNDS, ACTIONS).argmax(1)].mean())
        for n, s in served.items()
    }
    values[CHOSEN] = values[choice.chosen]
    values[PEER] = float(truth[rows, best].mean())
    logging = linear_behavior_policy(new["context"], world.action_context, seed)
    values[LOGGER] = float((logging * truth).sum(1).mean())
    oracle = float(truth.max(1).mean())
    return {
        "share": {name: value / oracle for name, value in values.items()},
        "oracle": oracle,
        "chosen": choice.chosen,
        "seconds": clock.seconds,
    }


def _contenders(seed: int) -> list[Contender]:
    star, settings = {_STAR.name: 1.0}, LearningSettings()
    learned = [LearnedScore(n, k, star, settings, seed) for n, k in LEARNERS.items()]
    return [ExpectedReward("item_ridge", star), *learned]


def _sample(
    logged: Mapping[str, Any], new: Floats, propensity: Floats
) -> tuple[LearningSample, PairFeatures, NDArray[np.int64]]:
    """The logged rounds as a sample, the features of the new ones, and the folds of q."""
    context = np.concatenate([logged["context"], new])
    n, total = len(logged["action"]), len(context)
    user, offsets = np.arange(total), np.arange(total + 1) * ACTIONS
    item = np.tile(np.arange(ACTIONS), total)
    # Rounds without a reward are predicted and not learned from.
    reward = np.full((total, 1), np.nan)
    reward[:n, 0] = logged["reward"]
    action = np.zeros(total, np.int64)
    action[:n] = logged["action"]
    shown = offsets[:-1] + action
    q = item_ridge(context, user, offsets, item, shown, reward, FOLDS)
    # What is served may know all that was logged: of many folds, one leaves out next to nothing.
    q[n * ACTIONS :] = item_ridge(context, user, offsets, item, shown, reward, MANY)[n * ACTIONS :]
    log = _log(logged, propensity)
    scalarisation = fit_scalarisation(log, {_STAR.name: 1.0})
    row = np.repeat(user, ACTIONS)
    pairs = PairFeatures(
        dense=context[row].astype(np.float32),
        item=item,
        row=row,
        item_vectors=np.eye(ACTIONS, ACTIONS + CONTEXT, dtype=np.float32),
        user_vectors=np.pad(context, ((0, 0), (ACTIONS, 0))).astype(np.float32),
    )
    features = score_features(pairs, q, scalarisation)
    mine = np.arange(n * ACTIONS)
    outcome = (log.rewards[:, 0] - q[log.shown, 0]) / scalarisation.scale[0]
    value = scalarisation.standardise(q[mine]).sum(axis=1)
    inputs = LearningInputs(features.take(mine), value, outcome)
    fold = user_folds(user[:n], FOLDS, split_mix(SALT))
    # There is no reward model: what it would say is in the inputs.
    sample = LearningSample(log, None, scalarisation, inputs)  # type: ignore[arg-type]
    return sample, features.take(np.arange(n * ACTIONS, total * ACTIONS)), fold


def _new_scores(
    contender: Contender, sample: LearningSample, new: PairFeatures, every: NDArray[np.int64]
) -> Floats:
    """Scores of new rounds by the contender fitted on all logged ones."""
    if isinstance(contender, LearnedScore):
        whole = part_of(sample, every)
        learned = contender.learner.learn(whole, contender.settings, contender.seed)
        return evaluate(learned.network, new, 1)[:, 0]
    return new.dense[:, -1].astype(np.float64)


def _log(logged: Mapping[str, Any], propensity: Floats) -> BanditLog:
    n = len(logged["action"])
    names = [f"a{k}" for k in range(ACTIONS)]
    columns = [names, [""] * ACTIONS, [[]] * ACTIONS, [""] * ACTIONS, [[]] * ACTIONS]
    arrays = [pa.array(c, f.type) for c, f in zip(columns, ITEMS_SCHEMA, strict=True)]
    catalog = Catalog.from_table(pa.Table.from_arrays(arrays, schema=ITEMS_SCHEMA))
    nothing = Ragged(np.zeros(n + 1, np.int64), np.zeros(0, np.int32))
    day = np.datetime64("2026-11-09", "D")
    decisions = Decisions(
        catalog=catalog,
        user=np.array([f"u{i}" for i in range(n)], object),
        scene=np.full(n, "home", object),
        position=np.ones(n, np.int32),
        ts=np.full(n, day, "datetime64[us]"),
        candidates=Ragged(
            np.arange(n + 1) * ACTIONS, np.tile(np.arange(ACTIONS, dtype=np.int32), n)
        ),
        histories=Histories.none(),
        since=np.zeros(n, np.int64),
        until=np.zeros(n, np.int64),
        request=np.arange(n),
        above=nothing,
    )
    return BanditLog(
        decisions=decisions,
        decision_id=np.array([f"r{i}#1" for i in range(n)], object),
        night=np.full(n, day),
        session=np.array([f"s{i}" for i in range(n)], object),
        session_step=np.zeros(n, np.int32),
        action=logged["action"].astype(np.int64),
        propensity=logged["pscore"],
        candidate_propensity=propensity.ravel(),
        policy_id=np.full(n, "linear", object),
        objectives=(_STAR,),
        rewards=logged["reward"].astype(np.float64)[:, None],
        final=np.ones((n, 1), np.bool_),
        unknown=np.zeros((n, 1), np.bool_),
        lost=np.zeros((n, 1), np.int64),
    )


def _rows(cells: Sequence[Mapping[str, Any]], judged: bool) -> list[Row]:
    share = {n: np.array([cell["share"][n] for cell in cells]) for n in cells[0]["share"]}
    seconds = np.array([sum(cell["seconds"][t] for t in _TIMES) for cell in cells])
    chosen = [cell["chosen"] for cell in cells]
    rows = [
        Row(
            f"policy learning: value over the oracle's, {name}",
            float(values.mean()),
            note=f"{len(cells)} seeds, {values.min():.4f} to {values.max():.4f}",
        )
        for name, values in sorted(share.items(), key=lambda entry: -entry[1].mean())
        if name != CHOSEN
    ]
    mean, less = float(share[CHOSEN].mean()), share[CHOSEN] - share[PEER]
    return [
        *rows,
        Row(
            f"policy learning: value over the oracle's, {CHOSEN}",
            mean,
            float(share[PEER].mean()),
            bar=f">= {BAR:g}" if judged else "",
            holds=mean >= BAR if judged else None,
            note="chosen: " + ", ".join(f"{n} {chosen.count(n)} x" for n in sorted(set(chosen))),
        ),
        Row(
            f"policy learning: {CHOSEN}, less {PEER}",
            float(less.mean()),
            bar=">= 0" if judged else "",
            holds=bool(less.mean() >= 0) if judged else None,
            note=f"by seed {less.min():+.4f} to {less.max():+.4f}",
        ),
        Row(
            "policy learning: processor seconds, choice included",
            float(seconds.mean()),
            float(np.mean([cell["seconds"]["peer"] for cell in cells])),
            bar=f"<= {SECONDS:g}",
            holds=bool(seconds.max() <= SECONDS),
            note=f"the most {seconds.max():.1f}",
        ),
    ]
