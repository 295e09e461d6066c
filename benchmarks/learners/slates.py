"""Lists: is the correction for k slots worth it, and does a model of rewards do without?

Eight items, one of which outshines the others (``_slates.world``), lists of three that are filled
slot by slot from one softmax with a floor of .1. The logger knows nothing of users. Three logs of
as many shown slots:

- ``one slot logged``: each request shows one item, and lists of three are to be served;
- ``lists logged``: three slots a request, with propensities given the items above;
- ``lists logged, cascade``: the same, and the first click in a list is the last.

``top_k_reinforce`` is fitted with lists of three and, the same learner without the correction, of
one. Neither is told anything of expected rewards. Beside them stand, greedy with the same floor,
the item mean and expected rewards by one regression an item (``item_ridge``). Values are clicks a
list, exact over all lists and clicks, on contexts of another log of the logger; on that log
``mrlm.ope.slates`` estimates the learned policy's value too.

20 seeds of the first log, which is judged, and five of the others; quick: 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from benchmarks.learners._context_bandit import bare_log, sample_of
from benchmarks.learners._finished import finished
from benchmarks.learners._slates.lists import Floats, list_value, slot_probabilities
from benchmarks.learners._slates.world import (
    ITEMS,
    LOGGER_FLOOR,
    LoggedLists,
    drawn_world,
    logged_lists,
)
from benchmarks.rows import Row
from mrlm.bandit_log import BanditLog, Ragged
from mrlm.behaviour.networks.network import evaluate
from mrlm.learners.bandit.top_k_reinforce import TopKReinforce
from mrlm.learners.settings import LearningSettings, TopKSettings
from mrlm.ope import EvaluationState, estimates
from mrlm.ope.slates import RIPS, SlateBatch

QUICK_SEEDS = 2
SHOWN, JUDGED, SLOTS, FLOOR, EPOCHS = 2_100, 400, 3, 0.1, 30
CORRECTED, PLAIN, LOGGER, ORACLE = "top_k_reinforce", "without the correction", "logger", "oracle"
GREEDY = "expected rewards, greedy"


@dataclass(frozen=True)
class Logged:
    """What is logged, and how often.

    Attributes:
        slots: of each logged list.
        leave: chance that a click is the last.
        seeds: of the world and all draws.
        judged: whether the correction should be better than none.
    """

    slots: int
    leave: float
    seeds: int
    judged: bool


LOGS: Mapping[str, Logged] = {
    "one slot logged": Logged(1, 0.0, 20, judged=True),
    "lists logged": Logged(SLOTS, 0.0, 5, judged=False),
    "lists logged, cascade": Logged(SLOTS, 1.0, 5, judged=False),
}


def run(quick: bool) -> list[Row]:
    """Clicks a list of every policy on each log, and the paired differences."""
    kept, rows = finished(__name__), []
    for name, of in LOGS.items():
        cells = [
            kept.of([name, seed], lambda of=of, seed=seed: cell(of, seed))  # type: ignore[misc]
            for seed in range(QUICK_SEEDS if quick else of.seeds)
        ]
        rows += _rows(name, cells, judged=of.judged and not quick)
    return rows


def cell(of: Logged, seed: int) -> dict[str, Any]:
    """Clicks a list of each policy under one seed, and what a later log says of ours."""
    world, rng = drawn_world(seed, of.leave), np.random.default_rng([seed, of.slots])
    lists = logged_lists(world, SHOWN // of.slots, of.slots, rng)
    later = logged_lists(world, JUDGED, SLOTS, rng)
    appeal = world.appeal(later.context)
    scores = _scores(lists, later.context, seed) | {ORACLE: _greedy(appeal)}
    value = {
        name: float(list_value(own, appeal, SLOTS, FLOOR, of.leave).mean())
        for name, own in scores.items()
    }
    logger = np.broadcast_to(world.logger, appeal.shape)
    value[LOGGER] = float(list_value(logger, appeal, SLOTS, LOGGER_FLOOR, of.leave).mean())
    found = _estimated(later, scores[CORRECTED])
    return {"value": value, **found, "held": found["low"] <= value[CORRECTED] <= found["high"]}


def _scores(lists: LoggedLists, contexts: Floats, seed: int) -> dict[str, Floats]:
    """Logits of all items in new contexts by what each policy makes of logged lists."""
    log, context = as_log(lists), np.repeat(lists.context, lists.shown.shape[1], axis=0)
    shown = log.decisions.candidates.values[log.shown]
    mean = np.bincount(shown, log.rewards[:, 0], ITEMS) / np.bincount(shown, minlength=ITEMS)
    _, told = sample_of(log, context, contexts)
    untold, features = sample_of(log, context, contexts, believe=False)
    scores = {
        "item mean, greedy": _greedy(np.broadcast_to(mean, (len(contexts), ITEMS))),
        GREEDY: _greedy(told.dense[:, -1].reshape(-1, ITEMS).astype(np.float64)),
    }
    for name, slots in ((CORRECTED, SLOTS), (PLAIN, 1)):
        network = TopKReinforce().learn(untold, _settings(slots), seed).network
        scores[name] = evaluate(network, features, 1).reshape(-1, ITEMS)
        scores[f"{name}, greedy"] = _greedy(scores[name])
    return scores


def as_log(lists: LoggedLists) -> BanditLog:
    """A decision a slot: its candidates are the items that are not above."""
    left = lists.chances.reshape(-1, ITEMS) > 0
    offsets = np.concatenate([[0], np.cumsum(left.sum(axis=1))])
    place = left.cumsum(axis=1)[np.arange(len(left)), lists.shown.ravel()] - 1
    return bare_log(
        Ragged(offsets, np.nonzero(left)[1].astype(np.int32)),
        place,
        lists.chances.reshape(-1, ITEMS)[left],
        lists.clicks.ravel(),
        ITEMS,
        lists.shown.shape[1],
    )


def _estimated(lists: LoggedLists, scores: Floats) -> dict[str, float]:
    """The value of a policy with these logits by RIPS, with its 95 % interval."""
    n, row = len(scores), np.arange(len(scores))
    left, target, propensity = np.ones(scores.shape, np.bool_), [], []
    for slot in range(SLOTS):
        shown = lists.shown[:, slot]
        target.append(slot_probabilities(scores, left, FLOOR)[row, shown])
        propensity.append(lists.chances[row, slot, shown])
        left[row, shown] = False
    batch = SlateBatch(
        cluster=row,
        offsets=np.arange(n + 1) * SLOTS,
        propensity=np.column_stack(propensity).ravel(),
        target=np.column_stack(target).ravel(),
        rewards=lists.clicks.reshape(-1, 1),
        objectives=("click",),
    )
    # Clicks depend on nothing below: what the estimator assumes holds in all three.
    found = estimates(EvaluationState.of(RIPS(assumed=True)(batch)))["click"]
    return {"estimate": found.value, "low": found.lower, "high": found.upper}


def _settings(slots: int) -> LearningSettings:
    return LearningSettings(epochs=EPOCHS, top_k_reinforce=TopKSettings(slots=slots))


def _greedy(scores: Floats) -> Floats:
    """Logits that leave all but the floor to the highest score."""
    return 1e9 * scores


def _rows(log: str, cells: Sequence[Mapping[str, Any]], judged: bool) -> list[Row]:
    found = {name: np.array([cell["value"][name] for cell in cells]) for name in cells[0]["value"]}
    rows = [
        Row(f"{log}: clicks a list, {name}", float(values.mean()))
        for name, values in sorted(found.items(), key=lambda entry: -entry[1].mean())
    ]
    error = np.array([cell["estimate"] for cell in cells]) - found[CORRECTED]
    held = sum(cell["held"] for cell in cells)
    return [
        *rows,
        _less(log, found, CORRECTED, PLAIN).where(judged),
        _less(log, found, f"{CORRECTED}, greedy", f"{PLAIN}, greedy").where(False),
        _less(log, found, CORRECTED, GREEDY).where(False),
        Row(
            f"{log}: estimate of {CORRECTED} (rips) less its value, mean",
            float(error.mean()),
            note=f"{len(cells)} later logs of {JUDGED} lists, root mean square "
            f"{np.sqrt(np.mean(error**2)):.3f}; the 95 % interval held the value in {held}",
        ),
    ]


def _less(log: str, found: Mapping[str, Floats], policy: str, other: str) -> Row:
    """A paired difference over seeds, whose lower end should be above 0."""
    paired = found[policy] - found[other]
    count, mean = len(paired), float(paired.mean())
    error = float(paired.std(ddof=1) / np.sqrt(count))
    lower = mean - float(stdtrit(count - 1, 0.95)) * error
    return Row(
        f"{log}: {policy}, less {other}",
        mean,
        bar="lower end above 0",
        holds=lower > 0,
        note=f"{count} seeds, standard error {error:.4f}, one-sided 95 % lower end {lower:+.4f}",
    )
