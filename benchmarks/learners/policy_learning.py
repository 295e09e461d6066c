"""Policy learning as obp's example has it: ten actions, five numbers of context, 10,000 rounds.

``SyntheticBanditDataset`` with its logistic rewards and its linear logging policy; the truth is the
expected reward of another 10,000 rounds, and the oracle takes the best action of each. IPWLearner
has its default logistic regression.

How ours read it is said in ``_context_bandit``. The contenders are the expected rewards alone and
the learners that a night trains by default; which one is served is chosen by
``mrlm.learners.choice`` on the log. The other bandit learners are fitted on the whole log beside
them. All are greedy, without a floor, as the peer is.

20 seeds; quick: 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from benchmarks._clock import Clock
from benchmarks.learners._context_bandit import (
    STAR,
    LoggedRounds,
    as_sample,
    learned,
    new_scores,
)
from benchmarks.learners._finished import finished
from benchmarks.rows import Row
from mrlm.learners.bandit.bandit_learner import BanditLearner
from mrlm.learners.choice import Contender, ExpectedReward, choose_on, cross_fitted_scores
from mrlm.learners.inputs import expected_rewards
from mrlm.learners.registry import LEARNERS
from mrlm.learners.settings import LearningSettings

SEEDS, QUICK_SEEDS = 20, 3
ROUNDS, ACTIONS, CONTEXT = 10_000, 10, 5
BAR, SECONDS = 0.984, 10.0
CHOSEN, PEER, LOGGER = "ours, chosen by the log", "IPWLearner (obp 0.4.1)", "logger"
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
    rounds = LoggedRounds(logged["context"], logged["action"], logged["reward"], propensity)
    sample, of_new, fold = as_sample(rounds, new["context"])
    clock.lap("context as features")
    contenders = _contenders(seed)
    scores = cross_fitted_scores(sample, contenders, fold)
    choice = choose_on(sample.log, scores, expected_rewards(sample)[:, 0], 0.0)
    clock.lap("choice")
    served = {c.name: new_scores(c, sample, of_new) for c in contenders}
    clock.lap("fit")
    for other in _others(seed):
        served[other.name] = new_scores(other, sample, of_new)
        clock.lap(other.name)
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
    by_default = [learned(name, seed) for name in LearningSettings().learners]
    return [ExpectedReward("item_ridge", STAR), *by_default]


def _others(seed: int) -> list[Contender]:
    """The bandit learners that are no contenders."""
    by_default = LearningSettings().learners
    bandit = [n for n, learner in LEARNERS.items() if isinstance(learner, BanditLearner)]
    return [learned(name, seed) for name in bandit if name not in by_default]


def _own_seconds(cells: Sequence[Mapping[str, Any]], name: str) -> str:
    """How long a learner that is no contender takes on the whole log."""
    own = [cell["seconds"][name] for cell in cells if name in cell["seconds"]]
    return f"; {np.mean(own):.1f} processor seconds" if own else ""


def _rows(cells: Sequence[Mapping[str, Any]], judged: bool) -> list[Row]:
    share = {n: np.array([cell["share"][n] for cell in cells]) for n in cells[0]["share"]}
    seconds = np.array([sum(cell["seconds"][t] for t in _TIMES) for cell in cells])
    chosen = [cell["chosen"] for cell in cells]
    rows = [
        Row(
            f"policy learning: value over the oracle's, {name}",
            float(values.mean()),
            note=f"{len(cells)} seeds, {values.min():.4f} to {values.max():.4f}"
            + _own_seconds(cells, name),
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
            bar=f">= {BAR:g}",
            holds=mean >= BAR,
            note="chosen: " + ", ".join(f"{n} {chosen.count(n)} x" for n in sorted(set(chosen))),
        ).where(judged),
        Row(
            f"policy learning: {CHOSEN}, less {PEER}",
            float(less.mean()),
            bar=">= 0",
            holds=bool(less.mean() >= 0),
            note=f"by seed {less.min():+.4f} to {less.max():+.4f}",
        ).where(judged),
        Row(
            "policy learning: processor seconds, choice included",
            float(seconds.mean()),
            float(np.mean([cell["seconds"]["peer"] for cell in cells])),
            bar=f"<= {SECONDS:g}",
            holds=bool(seconds.max() <= SECONDS),
            note=f"the most {seconds.max():.1f}",
        ),
    ]
