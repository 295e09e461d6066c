"""Sequential learners on models whose optimum is exact: chain, grid, and random ones.

50,000 transitions of a logger; the learners see them as a night's log whose items are pairs of a
state and an action, and are given no truth. Regret is (V* - V) / (V* - V of the uniform policy) of
the policy that takes the highest score, at discount .9. Sets are ragged, rewards are vectors, some
sessions end and the log cuts the others. Beside it stands policy iteration on the counted model,
which is what the log can tell: that one on 100 random models, the networks on 20.

Beside discrete IQL stands TorchRL's, on the random models, with the same sizes, rates, number of
updates, expectile and temperature; it knows no candidate sets, so what a state does not offer is
left out of its actor's logits afterwards.

Vector evaluation: the values of the logger, one output an objective, against exact ones, once from
rows whose frequencies are a model's very chances, and once from 50,000 transitions; relative to the
root mean square of the true values.

Quick: one model, 5,000 transitions, no bars.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import stdtrit

from benchmarks._clock import Clock
from benchmarks._kept import Kept
from benchmarks.learners._finished import finished
from benchmarks.learners._rl.environment import PEERS, SCRIPTS
from benchmarks.learners._tabular_field import (
    DISCOUNT,
    Floats,
    World,
    counted,
    drawn,
    exact_experience,
    named,
    sample_of,
    scores_of,
)
from benchmarks.rows import Row
from mrlm.learners.inputs import logged_rewards
from mrlm.learners.registry import LEARNERS
from mrlm.learners.sequential.experience import Experience, experience_of
from mrlm.learners.sequential.transitions import transitions
from mrlm.learners.sequential.vector_network import make_vector_network
from mrlm.learners.sequential.vector_policy_iteration import evaluate_policy
from mrlm.learners.settings import LearningSettings
from mrlm.worlds.tabular import (
    greedy,
    normalised_regret,
    policy_evaluation,
    policy_iteration,
)

USERS, QUICK_USERS = 100, 10
RANDOM, COUNTED, EXACT, PARTS = 20, 100, 5, 32
PASSES, QUICK_PASSES = 600, 100
MEAN, WORST, CLOSED = 0.02, 0.10, 0.8
EXACT_ERROR, RELATIVE_ERROR = 1e-2, 0.06
# The learners with bars on mean and worst regret, and those that have to close most of the gap.
VALUES = {
    "double_q_learning": "double DQN",
    "q_learning": "discrete CQL",
    "implicit_q_learning": "discrete IQL",
    "batch_constrained_q_learning": "discrete BCQ",
}
POLICIES = {
    "advantage_weighted_regression": "advantage-weighted regression",
    "clipped_policy_optimisation": "clipped policy optimisation",
    "vector_policy_iteration": "vector policy iteration",
}
_USUAL = LearningSettings(
    epochs=6,
    batch_size=512,
    learning_rate=5e-3,
    weight_decay=0.0,
    dropout=0.0,
    discount=DISCOUNT,
    conservative=0.01,
    divergence=0.005,
    target_every=15,
    hidden=64,
    projection=32,
    max_decisions=1_000_000,
    implicit_q_learning={"expectile": 0.95, "temperature": 0.05},  # type: ignore[arg-type]
    advantage_weighted_regression={"temperature": 0.05},  # type: ignore[arg-type]
)
# An expectile follows its Q only slowly, and clipped steps are small: more and smaller updates.
_SLOW = _USUAL.model_copy(update={"batch_size": 256, "learning_rate": 3e-3, "target_every": 25})
_SETTINGS = {"implicit_q_learning": _SLOW, "clipped_policy_optimisation": _SLOW}


def run(quick: bool) -> list[Row]:
    """Regret of each learner, of the counted model, and errors of vector evaluation."""
    kept = finished(__name__)
    users = QUICK_USERS if quick else USERS
    worlds = {n: w for n, w in named(RANDOM).items() if not quick or n == "random 0"}
    rows = []
    for learner, title in {**VALUES, **POLICIES}.items():
        cells = [
            kept.of(
                ["regret", learner, name, users],
                lambda learner=learner, world=world: regret_cell(learner, world, users),  # type: ignore[misc]
            )
            for name, world in worlds.items()
        ]
        rows += _regret_rows(title, cells, learner in VALUES, judged=not quick)
    if not quick:
        rows.append(_torchrl_row(kept, worlds, users))
    table = [
        kept.of(["counted", n, users], lambda w=w: counted_regret(w, users))  # type: ignore[misc]
        for n, w in named(2 if quick else COUNTED).items()
    ]
    rows += _regret_rows("policy iteration, counted model", table, values=True, judged=not quick)
    passes = QUICK_PASSES if quick else PASSES
    exact = [
        kept.of(["exact", k, passes], lambda k=k: exact_error(drawn(k), passes))  # type: ignore[misc]
        for k in range(1 if quick else EXACT)
    ]
    logged = [
        kept.of(["evaluation", k, users], lambda k=k: logged_error(drawn(k), users))  # type: ignore[misc]
        for k in range(1 if quick else RANDOM)
    ]
    return [*rows, *_error_rows(exact, logged, judged=not quick)]


def regret_cell(learner: str, world: World, users: int) -> dict[str, Any]:
    """Regret of what a learner learns of one log, greedy, and processor seconds."""
    settings = _settings(users, _SETTINGS.get(learner, _USUAL))
    sample, clock = sample_of(world, world.log(users, seed=0)), Clock()
    network = LEARNERS[learner].learn(sample, settings, 1).network
    clock.lap("learn")
    score = scores_of(network, world.model)[:, 0]
    return {"regret": _regret(world, score), "seconds": clock.seconds["learn"]}


def torchrl_regret(world: World, users: int) -> dict[str, Any]:
    """Regret of the actor of TorchRL's discrete IQL on the same log."""
    model, drawn_log = world.model, world.log(users, seed=0)
    log, settings = drawn_log.log, _settings(users, _SLOW)
    shown, steps = drawn_log.pair[log.shown], transitions(log, settings.session_gap_minutes)
    known, going = ~steps.truncated, steps.following >= 0
    after = np.where(going, model.state[shown][steps.following], 0)
    own = settings.implicit_q_learning
    found = PEERS.measured(
        SCRIPTS / "torchrl_iql.py",
        states=len(model.start),
        actions=model.action.max() + 1,
        state=model.state[shown][known],
        action=model.action[shown][known],
        reward=(log.rewards @ world.weights)[known],
        next_state=after[known],
        ended=steps.terminal[known],
        hidden=settings.hidden,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        target_every=settings.target_every,
        discount=settings.discount,
        expectile=own.expectile,
        temperature=own.temperature,
    )
    return {"regret": _regret(world, np.array(found)[model.state, model.action])}


def counted_regret(world: World, users: int) -> dict[str, Any]:
    """Regret of the policy that is optimal for what was counted."""
    clock = Clock()
    known = counted(world, world.log(users, seed=0))
    _, q = policy_iteration(known, world.weights, DISCOUNT)
    clock.lap("learn")
    return {"regret": _regret(world, q @ world.weights), "seconds": clock.seconds["learn"]}


def exact_error(world: World, passes: int) -> list[float]:
    """Root mean square error of each objective's values, given the model's very chances."""
    seen, rewards, model = exact_experience(world.model, PARTS)
    more = {"epochs": passes, "target_every": 12}
    found = _evaluated(world, seen, rewards, _USUAL.model_copy(update=more))
    truth = policy_evaluation(model, world.logger, DISCOUNT)
    return [float(e) for e in np.sqrt(np.mean((found - truth) ** 2, axis=0))]


def logged_error(world: World, users: int) -> dict[str, float]:
    """Error of the logger's values from its log, by the network and by counting, relative."""
    log = world.log(users, seed=0)
    sample = sample_of(world, log)
    settings = _settings(users, _USUAL)
    seen = experience_of(sample, settings, centred=False)
    found = _evaluated(world, seen, logged_rewards(sample), settings)
    known = policy_evaluation(counted(world, log), world.logger, DISCOUNT)
    truth = policy_evaluation(world.model, world.logger, DISCOUNT)
    level = np.sqrt(np.mean(truth**2))
    return {
        "network": float(np.sqrt(np.mean((found - truth) ** 2)) / level),
        "counted": float(np.sqrt(np.mean((known - truth) ** 2)) / level),
    }


def _settings(users: int, usual: LearningSettings) -> LearningSettings:
    """The same number of updates, from a log of any length."""
    size = max(usual.batch_size * users // USERS, 8)
    return usual.model_copy(update={"batch_size": size})


def _evaluated(
    world: World, seen: Experience, rewards: Floats, settings: LearningSettings
) -> Floats:
    m = len(world.weights)
    network = make_vector_network(seen.features, m, settings, seed=1, gain=1.0)
    pair = seen.features.item
    evaluate_policy(network, world.logger[pair], rewards, seen, settings, seed=1)
    return scores_of(network, world.model, m)


def _regret(world: World, score: Floats) -> float:
    policy = greedy(world.model, score)
    return normalised_regret(world.model, policy, world.weights, DISCOUNT)


def _regret_rows(
    title: str, cells: Sequence[Mapping[str, Any]], values: bool, judged: bool
) -> list[Row]:
    regret = np.array([cell["regret"] for cell in cells])
    seconds = float(np.mean([cell["seconds"] for cell in cells]))
    mean, worst = float(regret.mean()), float(regret.max())
    limits = (MEAN, WORST) if values else (1 - CLOSED, 1 - CLOSED)
    note = f"{len(cells)} models, {seconds:.1f} processor seconds each"
    return [
        Row(
            f"tabular: regret, {title}, {which}",
            value,
            bar=f"<= {limit:g}",
            holds=value <= limit,
            note=note,
        ).where(judged)
        for which, value, limit in (("mean", mean, limits[0]), ("worst", worst, limits[1]))
    ]


def _torchrl_row(kept: Kept, worlds: Mapping[str, World], users: int) -> Row:
    title = "tabular: regret, discrete IQL, less TorchRL's on the random models"
    if not PEERS.installed:
        return Row(title, float("nan"), note=PEERS.missing)
    random = {name: w for name, w in worlds.items() if name.startswith("random")}
    own, peer = [], []
    for name, world in random.items():
        ours = kept.of(
            ["regret", "implicit_q_learning", name, users],
            lambda world=world: regret_cell("implicit_q_learning", world, users),  # type: ignore[misc]
        )
        theirs = kept.of(
            ["torchrl", name, users],
            lambda world=world: torchrl_regret(world, users),  # type: ignore[misc]
        )
        own.append(ours["regret"])
        peer.append(theirs["regret"])
    less = np.array(own) - np.array(peer)
    error = float(less.std(ddof=1) / np.sqrt(len(less)))
    return Row(
        title,
        float(less.mean()),
        bar="not significantly above 0, one-sided 5 %",
        holds=bool(less.mean() <= float(stdtrit(len(less) - 1, 0.95)) * error),
        note=f"paired over {len(less)} models, standard error {error:.4f}; ours "
        f"{np.mean(own):.4f}, TorchRL's {np.mean(peer):.4f}, worst {max(peer):.4f}",
    )


def _error_rows(
    exact: Sequence[Sequence[float]], logged: Sequence[Mapping[str, float]], judged: bool
) -> list[Row]:
    most = float(np.max(exact))
    network = np.array([cell["network"] for cell in logged])
    by_count = np.array([cell["counted"] for cell in logged])
    return [
        Row(
            "tabular: vector evaluation, exact model, error of the worst objective",
            most,
            bar=f"<= {EXACT_ERROR:g}",
            holds=most <= EXACT_ERROR,
            note=f"{len(exact)} models, expected rewards have standard deviation 1",
        ).where(judged),
        Row(
            "tabular: vector evaluation from the log, relative error",
            float(network.mean()),
            float(by_count.mean()),
            bar=f"<= {RELATIVE_ERROR:g}",
            holds=bool(network.mean() <= RELATIVE_ERROR),
            note=f"{len(logged)} models, by model {network.min():.3f} to {network.max():.3f}; "
            "the peer is the counted model, solved",
        ).where(judged),
    ]
