"""Classification sets as bandits: a uniform logger, and a reward for the row's own class.

Of every set 70 % of the rows are logged and 30 % are judged, by the share of rows whose class the
greedy policy takes, which is its true value. Every split draws rows and actions anew. Context is
standardised on the logged rows.

Ours are weighted classification, cost-sensitive regression and expected rewards (``item_ridge``),
and which one is served is chosen by ``mrlm.learners.choice`` on the log, in this order among
equals: of a row's classes one earns, which is what the first is for. Their settings are the
defaults but for those in ``_SETTINGS`` and for the number of epochs, of which a few thousand rows
need more. Order and settings were looked at on three other sets (segment, texture, vowel).

The peers are obp's IPWLearner with its default logistic regression and Vowpal Wabbit with
``--cb_type`` dr and mtr, after one pass and after four; of a set's five results that with the
highest mean is the peer, a choice by hindsight in their favour. obp's NNPolicyLearner is left out:
it takes minutes for a log of 10,000 rows, and on its own example it is below IPWLearner.

20 splits of five sets, about an hour and a quarter on one core; quick: 2 of the smallest. Splits
of one set share rows, so an interval over them is a little too short. ``make bench-sets
bench-peers`` installs sets and peers; without them nothing is measured, and the row says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from benchmarks._clock import Clock
from benchmarks.learners._context_bandit import (
    STAR,
    Floats,
    LoggedRounds,
    as_sample,
    learned,
    new_scores,
)
from benchmarks.learners._finished import finished
from benchmarks.learners._peers.vowpal import best_actions
from benchmarks.ope.uci import SETS, data, installed
from benchmarks.rows import Row
from mrlm.learners.choice import Contender, ExpectedReward, choose_on, cross_fitted_scores
from mrlm.learners.inputs import expected_rewards

SPLITS, QUICK_SPLITS = 20, 2
QUICK = ("vehicle",)
LOGGED, LEVEL = 0.7, 0.05
CHOSEN = "ours, chosen by the log"
OURS = ("weighted_classification", "cost_sensitive", "item_ridge")
MOST_EPOCHS, LEAST_EPOCHS = 200, 10
_SETTINGS: Mapping[str, Mapping[str, float]] = {
    "weighted_classification": {"learning_rate": 5e-3, "dropout": 0.3},
    "cost_sensitive": {},
}
# Of batches of the log, together.
_UPDATES = {"weighted_classification": 2000, "cost_sensitive": 600}
PEERS = ("obp", "vowpalwabbit")


def run(quick: bool) -> list[Row]:
    """Accuracy of every policy, and ours less the best peer's, paired over splits."""
    missing = [name for name in PEERS if find_spec(name) is None]
    if missing or not installed():
        what = ", ".join(missing or ["the sets"])
        note = f"not run: no {what}; make bench-sets bench-peers installs them"
        return [Row("classification: splits", 0, note=note)]
    kept, splits = finished(__name__), QUICK_SPLITS if quick else SPLITS
    cells = {
        name: [
            kept.of(["classification", name, seed], lambda name=name, seed=seed: cell(name, seed))  # type: ignore[misc]
            for seed in range(splits)
        ]
        for name in (QUICK if quick else SETS)
    }
    return _rows(cells, judged=not quick)


def cell(name: str, seed: int) -> dict[str, Any]:
    """Accuracy of every policy on one split, and processor seconds."""
    logged, new, label = split(name, seed)
    clock = Clock()
    found = _ours(logged, new, seed)
    clock.lap("ours")
    found |= _obp(logged, new)
    clock.lap("obp")
    for kind in ("dr", "mtr"):
        for passes, best in best_actions(logged, new, kind, seed).items():
            found[f"VW {kind}, {passes} passes"] = best
        clock.lap(f"VW {kind}")
    chosen = str(found.pop("chosen"))
    share = {k: float(np.mean(best == label)) for k, best in found.items()}
    return {"share": share | {CHOSEN: share[chosen]}, "chosen": chosen, "seconds": clock.seconds}


def split(name: str, seed: int) -> tuple[LoggedRounds, Floats, NDArray[np.int64]]:
    """Logged rounds, and context and class of the rows that judge."""
    features, label = data(name)
    g, k = np.random.default_rng([seed, len(label)]), int(label.max()) + 1
    order, n = g.permutation(len(label)), int(LOGGED * len(label))
    own, judged = order[:n], order[n:]
    deviation = features[own].std(0)
    x = (features - features[own].mean(0)) / np.where(deviation > 0, deviation, 1.0)
    action = g.integers(0, k, n)
    reward = (action == label[own]).astype(np.float64)
    logged = LoggedRounds(x[own], action, reward, np.full((n, k), 1 / k))
    return logged, x[judged], label[judged]


def _ours(logged: LoggedRounds, new: Floats, seed: int) -> dict[str, Any]:
    """Best actions by each contender, and the name of the one that the log chooses."""
    sample, of_new, fold = as_sample(logged, new)
    contenders = _contenders(len(logged.action), seed)
    scores = cross_fitted_scores(sample, contenders, fold)
    choice = choose_on(sample.log, scores, expected_rewards(sample)[:, 0], 0.0)
    out: dict[str, Any] = {
        c.name: new_scores(c, sample, of_new).reshape(len(new), -1).argmax(1) for c in contenders
    }
    return out | {"chosen": choice.chosen}


def _contenders(rows: int, seed: int) -> list[Contender]:
    *learners, ridge = OURS
    out: list[Contender] = []
    for name in learners:
        found = learned(name, seed)
        batches = -(-rows // found.settings.batch_size)
        epochs = int(np.clip(_UPDATES[name] // batches, LEAST_EPOCHS, MOST_EPOCHS))
        changed = {**_SETTINGS[name], "epochs": epochs}
        out.append(replace(found, settings=found.settings.model_copy(update=changed)))
    return [*out, ExpectedReward(ridge, STAR)]


def _obp(logged: LoggedRounds, new: Floats) -> dict[str, NDArray[np.int64]]:
    from obp.policy import IPWLearner
    from sklearn.linear_model import LogisticRegression

    n, k = logged.propensity.shape
    peer = IPWLearner(n_actions=k, base_classifier=LogisticRegression(max_iter=1000))
    propensity = logged.propensity[np.arange(n), logged.action]
    peer.fit(logged.context, logged.action, logged.reward, propensity)
    return {"IPWLearner (obp 0.4.1)": peer.predict(new)[:, :, 0].argmax(1)}


def _rows(cells: Mapping[str, Sequence[Mapping[str, Any]]], judged: bool) -> list[Row]:
    rows, above = [], 0
    for name, of in cells.items():
        share = {p: np.array([cell["share"][p] for cell in of]) for p in of[0]["share"]}
        peers = [p for p in share if p not in (*OURS, CHOSEN)]
        best = max(peers, key=lambda p: share[p].mean())
        less = share[CHOSEN] - share[best]
        mean, count = float(less.mean()), len(less)
        error = float(less.std(ddof=1) / np.sqrt(count)) if count > 1 else np.nan
        reach = float(stdtrit(max(count - 1, 1), 1 - LEVEL)) * error
        above += mean > 0
        rows += [Row(f"{name}: accuracy, {p}", float(v.mean())) for p, v in share.items()]
        chosen = [cell["chosen"] for cell in of]
        rows.append(
            Row(
                f"{name}: {CHOSEN}, less {best}",
                mean,
                bar="not below 0, one-sided 5 %",
                holds=mean + reach >= 0,
                note=f"{count} splits, standard error {error:.4f}; "
                + ", ".join(f"{n} {chosen.count(n)} x" for n in sorted(set(chosen))),
            ).where(judged)
        )
        seconds = {k: float(np.mean([c["seconds"][k] for c in of])) for k in of[0]["seconds"]}
        rows.append(
            Row(
                f"{name}: processor seconds a split, ours with the choice",
                seconds["ours"],
                seconds["obp"],
                note=", ".join(f"{k} {v:.1f}" for k, v in seconds.items()),
            )
        )
    rows.append(
        Row(
            "classification: sets on which ours is above the best peer",
            above,
            bar="on most",
            holds=2 * above > len(cells),
            note=f"of {len(cells)}",
        ).where(judged)
    )
    return rows
