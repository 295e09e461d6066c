"""Nights as policy iteration: what is shown today changes what can be won tomorrow.

**Exact.** 200 random models of 12 states and 4 objectives (``mrlm.worlds.tabular.garnet``), solved
exactly: values of one policy are linear in the weights, and after three nights, each of which
evaluates its champion once and improves it once, regret is next to nothing. In the hub, where one
way leads to either of two rewards and another to .8 of both, the weighted sum of the objectives'
own optimal values counts both rewards, and takes the wrong way.

**Closed loop.** ``mrlm.worlds.tabular.satisfaction``: bait is clicked most and wears users out. The
first champion knows the next click alone. Each night the champion is served with its exploration
floor (8,000 decisions of 40 users) and evaluated on the counts of all nights so far, each half of
the users by the other half. The meta-update (``with_later_rewards``, settings as they are by
default, hence a KL cap of .5 nats) then chooses tomorrow's champion on tonight's decisions, out of
two features, the next click and the champion's Q. Beside it the same loop with the next click alone
as what counts. **As a night does it,** without a Q: the north star is a return (discount .9, see
``mrlm.bandit_log.sessions.returns``), and the second feature the mean return of a pair on all
nights so far, whichever champion logged them, drawn to its state's level likewise. Values are
exact, discounted by .9 from the first state on; the best is that of all policies with the same
floor. 10 seeds of 6 nights; quick: 2.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.learners._tabular_field import DISCOUNT, Floats, World, counted
from benchmarks.meta._finished import finished
from benchmarks.rows import Row
from mrlm.bandit_log import Objective
from mrlm.bandit_log.ragged import segment_log_softmax
from mrlm.bandit_log.sessions.returns import with_returns
from mrlm.learners.sequential.transitions import transitions
from mrlm.meta.problem.later_rewards import with_later_rewards
from mrlm.meta.problem.tuning_problem import TuningProblem
from mrlm.meta.settings import TuningSettings
from mrlm.meta.tune import tune
from mrlm.policies.floor import with_floor
from mrlm.worlds.tabular import (
    TabularLog,
    TabularModel,
    garnet,
    greedy,
    hub,
    normalised_regret,
    policy_evaluation,
    policy_iteration,
    satisfaction,
    start_value,
    state_values,
    tabular_log,
    uniform,
    value_iteration,
)

MODELS, ITERATIONS, EXACT, REGRET = 200, 3, 1e-9, 1e-3
SEEDS, QUICK_SEEDS, NIGHTS, WINDOW, USERS, ROUNDS = 10, 2, 6, 6, 40, 200
# Of the seeds below it some told how many rows a value is drawn to its state's level by.
_FIRST_SEED = 10
SHARE, DOWN = 0.95, 0.02
# Sum of the weights of the first champion, which knows the next click alone.
FIRST_SCALE, WEIGHT_CLIP, GAP_MINUTES = 8.0, 10.0, 30
# Rows of a pair that count as much as the level of its state.
PRIOR_ROWS = 50
COLUMNS = ("next click", "long term")
OURS, RETURN, MYOPIC = "with later rewards", "a return", "next click alone"
_STAR = (Objective("satisfaction", "feedback", role="north_star", event="reward", missing=0.0),)
_RETURN = (replace(_STAR[0], discount=DISCOUNT),)


def run(quick: bool) -> list[Row]:
    """Exact statements, the hub, and the closed loop."""
    kept = finished(__name__)
    cells = [
        kept.of([seed], partial(cell, seed))
        for seed in range(_FIRST_SEED, _FIRST_SEED + (QUICK_SEEDS if quick else SEEDS))
    ]
    return [*_exact_rows(), *_hub_rows(), *_loop_rows(cells)]


def cell(seed: int) -> dict[str, list[float]]:
    """Share of the first champion's gap to the best that each night's policy closes."""
    model, settings = satisfaction(), TuningSettings()
    best = _best_with_floor(model, settings.floor)
    first = _core(model, FIRST_SCALE * model.reward[:, 0] / model.reward.std())
    found = {}
    for name in (OURS, RETURN, MYOPIC):
        core, values = first, [_value(model, first, settings.floor)]
        logs: list[list[TabularLog]] = [[], []]
        for night in range(NIGHTS):
            served = np.exp(with_floor(core, model.offsets, settings.floor))
            _write_night(model, served, logs, [seed, night])
            core = _after(World(model, np.ones(1), served), core, settings, logs, name)
            values.append(_value(model, core, settings.floor))
        found[name] = [(v - values[0]) / (best - values[0]) for v in values]
    return found


def _write_night(
    model: TabularModel, served: Floats, logs: list[list[TabularLog]], seed: list[int]
) -> None:
    """Another log for each half of the users."""
    seeds = np.random.SeedSequence(seed).generate_state(len(logs)).tolist()
    for half, own in zip(logs, seeds, strict=True):
        half.append(tabular_log(model, served, users=USERS // 2, rounds=ROUNDS, seed=own))


def _after(
    world: World,
    core: Floats,
    settings: TuningSettings,
    logs: list[list[TabularLog]],
    name: str,
) -> Floats:
    """Log probabilities of every pair under tomorrow's champion, before the floor, shape (P,)."""
    heads = [(_mean_heads if name == RETURN else _heads)(world, half) for half in logs]
    # A level that all candidates of a state share moves no choice, and would hide what does.
    own = [_less_level(world, of_half) for of_half in heads]
    both = np.mean(own, axis=0)
    scale = both.std(axis=0)
    parts = []
    for half, others, features in zip(logs, heads[::-1], own[::-1], strict=True):
        for night in half[-WINDOW:]:
            part = _problem(night, others, features / scale, world.logger, core)
            parts.append(_COUNTED[name](part, night, others))
    result = tune(_together(parts), settings)
    if not result.moved:
        return core
    return _core(world.model, result.point[0] * core + both / scale @ result.point[1:])


def _heads(world: World, logs: list[TabularLog]) -> Floats:
    """The next click and the champion's Q of every pair, as these nights count, shape (P, 2).

    What was seen few times is drawn to the level of its state: two rows of a pair that the champion
    avoids would else be its largest advantage, and the scale of all others.
    """
    model, pairs = world.model, len(world.model.action)
    seen = np.array([np.bincount(n.pair[n.log.shown], minlength=pairs) for n in logs])
    share = (seen / np.maximum(seen.sum(axis=0), 1))[:, :, None]
    by_night = [counted(world, night) for night in logs]
    known = TabularModel(
        offsets=model.offsets,
        action=model.action,
        transition=(share * np.array([night.transition for night in by_night])).sum(axis=0),
        reward=(share * np.array([night.reward for night in by_night])).sum(axis=0),
        noise=model.noise,
        start=model.start,
    )
    found = np.column_stack([known.reward, policy_evaluation(known, world.logger, DISCOUNT)])
    return _drawn_to_level(world, found, seen.sum(axis=0))


def _mean_heads(world: World, logs: list[TabularLog]) -> Floats:
    """Mean next click and return of every pair on these nights, shape (P, 2)."""
    model, pairs = world.model, len(world.model.action)
    shown = np.concatenate([night.pair[night.log.shown] for night in logs])
    reward = np.concatenate([np.hstack([night.log.rewards, _returns(night)]) for night in logs])
    rows = np.bincount(shown, minlength=pairs)
    total = np.stack([np.bincount(shown, r, minlength=pairs) for r in reward.T], axis=1)
    of_state = model.state == np.arange(len(model.start))[:, None]
    level = of_state @ total / np.maximum(of_state @ rows, 1)[:, None]
    mean = total / np.maximum(rows, 1)[:, None]
    return _drawn_to_level(world, np.where(rows[:, None] > 0, mean, level[model.state]), rows)


def _drawn_to_level(world: World, heads: Floats, rows: NDArray[np.int64]) -> Floats:
    own = _less_level(world, heads)
    return np.asarray(heads - own * (PRIOR_ROWS / (rows + PRIOR_ROWS))[:, None], np.float64)


def _less_level(world: World, heads: Floats) -> Floats:
    """Less what the champion expects in each state, shape (P, 2)."""
    level = state_values(world.model, world.logger, heads)
    return np.asarray(heads - level[world.model.state], np.float64)


def _problem(
    log: TabularLog, heads: Floats, features: Floats, served: Floats, core: Floats
) -> TuningProblem:
    """One night of a half, predicted by the other half."""
    of, pair = log.log, log.pair
    return TuningProblem(
        offsets=of.decisions.offsets,
        shown=of.shown,
        propensity=of.propensity,
        cluster=of.decisions.user,
        features=features[pair],
        columns=COLUMNS,
        serves=(None, _STAR[0].name),
        log_anchor=core[pair],
        champion=served[pair],
        rewards=of.rewards,
        q=heads[pair][:, :1],
        objectives=_STAR,
        floor=TuningSettings().floor,
        weight_clip=WEIGHT_CLIP,
        horizon=COLUMNS[1:],
    )


def _ahead(part: TuningProblem, log: TabularLog, heads: Floats) -> TuningProblem:
    """The same with what comes after each decision."""
    steps = transitions(log.log, GAP_MINUTES)
    value = heads[log.pair][:, 1:]
    return with_later_rewards(part, value, steps.following, steps.truncated, DISCOUNT)


def _returned(part: TuningProblem, log: TabularLog, heads: Floats) -> TuningProblem:
    """The same whose north star is a return."""
    return replace(part, objectives=_RETURN, rewards=_returns(log), q=heads[log.pair][:, 1:])


def _returns(log: TabularLog) -> Floats:
    return with_returns(replace(log.log, objectives=_RETURN)).rewards


def _next_click(part: TuningProblem, _log: TabularLog, _heads: Floats) -> TuningProblem:
    return part


_COUNTED = {OURS: _ahead, RETURN: _returned, MYOPIC: _next_click}


def _together(parts: list[TuningProblem]) -> TuningProblem:
    """All nights of both halves as one problem; everybody is another user in another part."""
    first = np.cumsum([0, *(part.offsets[-1] for part in parts)])
    offsets = [part.offsets[1:] + at for part, at in zip(parts, first, strict=False)]
    shown = [part.shown + at for part, at in zip(parts, first, strict=False)]
    cluster = [np.char.add(f"{k} ", part.cluster.astype(str)) for k, part in enumerate(parts)]
    return replace(
        parts[0],
        offsets=np.concatenate([[0], *offsets]),
        shown=np.concatenate(shown),
        cluster=np.concatenate(cluster),
        age=np.zeros(0, np.int64),
        weight=np.zeros(0),
        open=np.zeros(0, np.bool_),
        propensity=np.concatenate([part.propensity for part in parts]),
        features=np.concatenate([part.features for part in parts]),
        log_anchor=np.concatenate([part.log_anchor for part in parts]),
        champion=np.concatenate([part.champion for part in parts]),
        rewards=np.concatenate([part.rewards for part in parts]),
        q=np.concatenate([part.q for part in parts]),
    )


def _core(model: TabularModel, logits: Floats) -> Floats:
    return segment_log_softmax(logits, model.offsets)


def _value(model: TabularModel, core: Floats, floor: float) -> float:
    served = np.exp(with_floor(core, model.offsets, floor))
    return float(start_value(model, served, DISCOUNT)[0])


def _best_with_floor(model: TabularModel, floor: float) -> float:
    """The largest value of a policy that shows a share of everything alike.

    It is the optimum of the model in which that share of actions is replaced by a uniform one.
    """
    even = uniform(model)
    mix = (1 - floor) * np.eye(len(even))
    mix += floor * (model.state[:, None] == model.state) * even
    blurred = TabularModel(
        offsets=model.offsets,
        action=model.action,
        transition=mix @ model.transition,
        reward=mix @ model.reward,
        noise=model.noise,
        start=model.start,
    )
    best, _ = policy_iteration(blurred, np.ones(1), DISCOUNT)
    return float(start_value(blurred, best, DISCOUNT)[0])


def _exact_rows() -> list[Row]:
    weights, regret, error = np.full(4, 0.25), [], 0.0
    for seed in range(MODELS):
        model = garnet(seed)
        policy = uniform(model)
        scalar = TabularModel(
            offsets=model.offsets,
            action=model.action,
            transition=model.transition,
            reward=(model.reward @ weights)[:, None],
            noise=np.zeros(1),
            start=model.start,
        )
        q = policy_evaluation(model, policy, DISCOUNT) @ weights
        error = max(
            error, float(np.abs(q - policy_evaluation(scalar, policy, DISCOUNT)[:, 0]).max())
        )
        for _ in range(ITERATIONS):
            policy = greedy(model, policy_evaluation(model, policy, DISCOUNT) @ weights)
        regret.append(normalised_regret(model, policy, weights, DISCOUNT))
    mean = float(np.mean(regret))
    return [
        Row(
            "long term, exact: Q of a policy against weighted Qs of objectives, largest error",
            error,
            bar=f"<= {EXACT:g}",
            holds=error <= EXACT,
            note=f"{MODELS} random models, 4 objectives",
        ),
        Row(
            f"long term, exact: regret after {ITERATIONS} nights",
            mean,
            bar=f"<= {REGRET:g}",
            holds=mean <= REGRET,
            note=f"mean of {MODELS} models, the largest {max(regret):.2g}; one evaluation of the "
            "champion and one improvement a night",
        ),
    ]


def _hub_rows() -> list[Row]:
    model, weights = hub(), np.array([0.5, 0.5])
    naive = np.column_stack([value_iteration(model, w, DISCOUNT) for w in np.eye(2)]) @ weights
    policy = uniform(model)
    for _ in range(ITERATIONS):
        policy = greedy(model, policy_evaluation(model, policy, DISCOUNT) @ weights)
    summed = greedy(model, naive)
    ours, theirs = (normalised_regret(model, p, weights, DISCOUNT) for p in (policy, summed))
    claimed = float(naive[0])
    truth = float((policy_evaluation(model, summed, DISCOUNT) @ weights)[0])
    return [
        Row(
            "long term, hub: regret of the nights; of the sum of optimal values",
            ours,
            theirs,
            bar="0, and the sum's above",
            holds=ours <= EXACT < theirs,
            note=f"the sum claims {claimed:.3f} of the hub, whose value is {truth:.3f}",
        )
    ]


def _loop_rows(cells: list[dict[str, list[float]]]) -> list[Row]:
    ours, returns, myopic = (np.array([c[n] for c in cells]) for n in (OURS, RETURN, MYOPIC))
    last = ours[:, -1]
    down = float(np.maximum(-np.diff(ours, axis=1), 0.0).max())
    nights = ", ".join(f"{x:.2f}" for x in ours.mean(axis=0)[1:])
    return [
        Row(
            f"long term, closed loop: share of the gap that is closed after {NIGHTS} nights, the "
            "worst seed",
            float(last.min()),
            float(myopic[:, -1].min()),
            bar=f">= {SHARE:g}",
            holds=bool(last.min() >= SHARE),
            note=f"{len(cells)} seeds, mean {last.mean():.3f}, by night {nights}; the peer tunes "
            "on the next click alone",
        ),
        Row(
            "long term, closed loop: the largest step down of a night",
            down,
            float(np.maximum(-np.diff(myopic, axis=1), 0.0).max()),
            bar=f"<= {DOWN:g}",
            holds=down <= DOWN,
            note="of the gap",
        ),
        Row(
            "long term, closed loop by a return: share of the gap, the mean; the worst seed",
            float(returns[:, -1].mean()),
            float(returns[:, -1].min()),
            note=f"without a Q, {np.sum(returns[:, -1] >= SHARE)} of {len(cells)} seeds reach "
            f"{SHARE:g}; mean by night {', '.join(f'{x:.2f}' for x in returns.mean(axis=0)[1:])}",
        ),
        Row(
            "long term, closed loop by a return: the largest step down of a night",
            float(np.maximum(-np.diff(returns, axis=1), 0.0).max()),
            bar=f"<= {DOWN:g}",
            holds=bool(np.maximum(-np.diff(returns, axis=1), 0.0).max() <= DOWN),
            note="of the gap",
        ),
    ]
