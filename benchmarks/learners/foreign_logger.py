"""A log of another engine: gittins decides in recogym's world, and its log is all that ours get.

``RecoEnv1`` with its defaults (10 products, 1 to 2 % clicks, users whose organic views tell what
they like), 5,000 rounds a log, every log with products and users of its own. gittins 2.0.1 explores
as it does by default, a twentieth of the time, and is told of a user in that of three forms which
makes its greedy policy best in other worlds. One in ten rewards never arrives; gittins learns 0
there, as it always does, and ours have no reward: the value is one of rewards that arrive.

On the first half of the rounds ours are fitted: the user's views are the history, and which
contender is served, greedy with the floor, is chosen by ``mrlm.learners.choice`` on that half. Its
roll-out is its true value in contexts of new users, beside that of gittins' own greedy policy after
the same rounds. On the second half ``evaluate_table``, which is what ``mrlm ope`` calls, gives its
value with an interval clustered by user; the predictions in the table are those of the reward model
of the first half.

What is shown changes the world through a click alone. The contexts come from two paths that lie on
either side of all policies', and a row says how far apart they are. Other rows, without a bar, have
gittins explore half of the time, so that its log tells of more than what it prefers.

100 logs, and 20 of the other kind; quick: 4 and 2. ``make bench-foreign`` installs both.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks._clock import Clock
from benchmarks._demonstration import settings
from benchmarks.learners._finished import finished
from benchmarks.learners._foreign.as_log import Fresh, fresh_of, log_of
from benchmarks.learners._foreign.environment import PEERS, SCRIPT
from benchmarks.learners._ours import fitted, heads, learned, scores_of
from benchmarks.learners._peers.field import sample_of
from benchmarks.rows import Row
from mrlm.bandit_log import BanditLog, Decisions
from mrlm.bandit_log.objectives import north_star
from mrlm.bandit_log.ragged import segment_sum
from mrlm.learners.baselines import fit_baselines
from mrlm.learners.choice import ExpectedReward, LearnedScore, choose
from mrlm.ope.intervals import Estimate
from mrlm.ope.table import evaluate_table
from mrlm.policies.greedy import greedy_with_floor

Floats = NDArray[np.float64]
# gittins' own exploration, and what makes a log that tells more.
EPSILON, MORE = 0.05, 0.5
LOGS, QUICK_LOGS = {EPSILON: 100, MORE: 20}, {EPSILON: 4, MORE: 2}
TUNING, QUICK_TUNING = 5, 1
ROUNDS, USERS = 5_000, 200
SHARE, COVERED, MINUTES = 0.95, 0.93, 30.0
FORMS = ("last view", "shares of views", "logarithms of views")
OURS, PEER, UNIFORM, ORACLE = "ours, chosen by the log", "gittins, greedy", "uniform", "oracle"
PROVEN = "ours where the log proves it better, else gittins as it is"
MOST_VIEWED = "what the user viewed most"
TAKEN, PLAIN = "taken", "snips"
# recogym takes the seeds that follow for a world's users; tuning has worlds of its own.
_APART, _TUNING = 10, 1_000_000


def run(quick: bool) -> list[Row]:
    """Roll-outs beside gittins', and how often the interval on the second half holds ours."""
    if not PEERS.installed:
        return [Row("a foreign logger: logs", 0, note=PEERS.missing)]
    kept = finished(__name__)
    told = {
        form: [
            kept.of(["form", form, k], lambda form=form, k=k: tried(form, k))  # type: ignore[misc]
            for k in range(QUICK_TUNING if quick else TUNING)
        ]
        for form in FORMS
    }
    means = {form: float(np.mean([world["value"] for world in told[form]])) for form in FORMS}
    form = max(means, key=lambda name: means[name])
    cells = {
        epsilon: [
            kept.of(["log", form, str(epsilon), k], lambda k=k, e=epsilon: cell(k, form, e))  # type: ignore[misc]
            for k in range(logs)
        ]
        for epsilon, logs in (QUICK_LOGS if quick else LOGS).items()
    }
    seconds = [world["seconds"] for worlds in told.values() for world in worlds]
    seconds += [sum(c["seconds"].values()) for of in cells.values() for c in of]
    return [
        *_values("a foreign logger", cells[EPSILON]),
        *_judged("a foreign logger", cells[EPSILON], judged=not quick),
        _apart("a foreign logger", cells[EPSILON]),
        *_judged(f"explores {MORE:g} of the time", cells[MORE], judged=False),
        Row(
            f"gittins, greedy, told {form}",
            means[form],
            note=f"{len(told[form])} other worlds; "
            + ", ".join(f"{name} {means[name]:.5f}" for name in FORMS),
        ),
        Row(
            "a foreign logger: processor minutes of all",
            sum(seconds) / 60,
            bar=f"<= {MINUTES:g}",
            holds=sum(seconds) / 60 <= MINUTES,
        ).where(not quick),
    ]


def tried(form: str, number: int) -> dict[str, float]:
    """Roll-out of gittins' greedy policy in a world that nothing else is measured in."""
    found = _log(_TUNING + number, form, EPSILON)
    fresh = fresh_of(found, log_of(found))
    return {"value": _engine_value(fresh), "seconds": found["seconds"]}


def cell(seed: int, form: str, epsilon: float) -> dict[str, Any]:
    """One log: true values of all policies, ours in each path, the intervals, and seconds."""
    clock = Clock()
    found = _log(seed, form, epsilon)
    log = log_of(found)
    fresh = fresh_of(found, log)
    half = len(log) // 2
    fit, judged = log.take(np.arange(half)), log.take(np.arange(half, len(log)))
    clock.lap("log")
    sample = sample_of(fit)
    of, star = settings(), north_star(fit.objectives).name
    contenders: list[ExpectedReward | LearnedScore] = [
        *heads(sample.reward_model.heads, star),
        *learned({star: 1.0}, of.learning, of.seed, "north star alone"),
    ]
    floor = of.learning.floor
    choice = choose(sample, contenders, floor)
    served = {c.name: fitted(c, sample) for c in contenders}
    clock.lap("ours")
    model, offsets = sample.reward_model, fresh.decisions.offsets
    scores = scores_of(model, fresh.decisions, served)
    policies = {name: greedy_with_floor(s, offsets, floor) for name, s in scores.items()}
    for name, policy in fit_baselines(fit, star, floor).items():
        policies[name.replace("_", " ")] = np.exp(policy.log_probabilities(fresh.decisions))
    policies[MOST_VIEWED] = greedy_with_floor(_views(fresh.decisions), offsets, floor)
    policies[ORACLE] = greedy_with_floor(fresh.truth.ravel(), offsets, floor)
    values = {name: float(_each(fresh, p).mean()) for name, p in policies.items()}
    values[PEER], values[UNIFORM] = _engine_value(fresh), float(fresh.truth.mean())
    ours = _each(fresh, policies[choice.chosen])
    values[OURS] = float(ours.mean())
    explores = (1.0 - epsilon) * values[PEER] + epsilon * values[UNIFORM]
    values[PROVEN] = values[OURS] if choice.improves else explores
    chosen = scores_of(model, judged.decisions, served)[choice.chosen]
    target = greedy_with_floor(chosen, judged.decisions.offsets, floor)
    q = model.score(judged.decisions)[:, model.heads.index(star)]
    estimates = _estimates(judged, target, q)
    clock.lap("values and intervals")
    return {
        "values": values,
        "paths": {p: float(ours[fresh.path == p].mean()) for p in np.unique(fresh.path).tolist()},
        "chosen": choice.chosen,
        "improves": choice.improves,
        "estimates": estimates,
        "users": len(set(judged.decisions.user)),
        "clicks": float(np.nansum(judged.rewards)),
        "seconds": {**clock.seconds, "gittins and its world": found["seconds"]},
    }


def _log(seed: int, form: str, epsilon: float) -> dict[str, Any]:
    given = {"seed": _APART * seed, "form": form, "epsilon": epsilon}
    found: dict[str, Any] = PEERS.measured(SCRIPT, rounds=ROUNDS, users=USERS, **given)
    return found


def _engine_value(fresh: Fresh) -> float:
    return float(np.take_along_axis(fresh.truth, fresh.engine[:, None], 1).mean())


def _each(fresh: Fresh, probabilities: Floats) -> Floats:
    """The policy's click probability in each context."""
    return segment_sum(probabilities * fresh.truth.ravel(), fresh.decisions.offsets)


def _views(decisions: Decisions) -> Floats:
    """How often the user viewed each candidate, float64, shape (N,)."""
    seen, products = decisions.history, len(decisions.catalog)
    counts = np.bincount(seen.row * products + seen.values, None, len(decisions) * products)
    place = decisions.candidates.row * products + decisions.candidates.values
    return counts[place].astype(np.float64)


def _estimates(log: BanditLog, target: Floats, q: Floats) -> dict[str, dict[str, Any]]:
    """What ``mrlm ope`` says of a policy: the estimate to take, and the one without predictions."""
    table = pa.table(
        {
            "user_id": pa.array(log.decisions.user, pa.string()),
            "propensity": log.propensity,
            "target_probability": target[log.shown],
            "reward": pa.array(log.rewards[:, 0], from_pandas=True),
            "q_hat": q[log.shown],
            "v_hat": segment_sum(target * q, log.decisions.offsets),
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "second_half.parquet")
        pq.write_table(table, path)
        found = evaluate_table(path)
    (plain,) = (e for e in found.estimates if e.estimator == PLAIN)
    return {TAKEN: _told(found.best(found.estimates)), PLAIN: _told(plain)}


def _told(of: Estimate) -> dict[str, Any]:
    fields = ("estimator", "value", "lower", "upper", "certified", "degrees_of_freedom")
    return {
        **{name: getattr(of, name) for name in fields},
        "reason": of.certificate.reason,
        "effective": of.diagnostics[0].effective_sample_size,
    }


def _of(cells: Sequence[Mapping[str, Any]], name: str) -> Floats:
    return np.array([cell["values"][name] for cell in cells])


def _values(world: str, cells: Sequence[Mapping[str, Any]]) -> list[Row]:
    names = sorted(cells[0]["values"], key=lambda name: -float(_of(cells, name).mean()))
    return [
        Row(
            f"{world}: roll-out, {name}",
            float(_of(cells, name).mean()),
            note=f"{len(cells)} logs, {_of(cells, name).min():.4f} to {_of(cells, name).max():.4f}",
        )
        for name in names
    ]


def _judged(world: str, cells: Sequence[Mapping[str, Any]], judged: bool) -> list[Row]:
    """Ours beside gittins', and how often each interval holds the roll-out."""
    ours, peer = _of(cells, OURS), _of(cells, PEER)
    share, less = float(ours.mean() / peer.mean()), ours - peer
    error = float(less.std(ddof=1) / np.sqrt(len(less)))
    chosen, proven = [c["chosen"] for c in cells], sum(c["improves"] for c in cells)
    return [
        Row(
            f"{world}: roll-out, ours over gittins'",
            share,
            bar=f">= {SHARE:g}",
            holds=share >= SHARE,
            note=f"{len(cells)} logs, above in {int((less > 0).sum())}, difference "
            f"{less.mean():+.5f} with a standard error of {error:.5f}; proven better than the "
            f"logger in {proven}; chosen: "
            + ", ".join(f"{name} {chosen.count(name)} x" for name in sorted(set(chosen))),
        ).where(judged),
        _coverage(f"{world}: mrlm ope holds the roll-out", cells, TAKEN).where(judged),
        _coverage(f"{world}: the same without predictions", cells, PLAIN).where(False),
    ]


def _coverage(measure: str, cells: Sequence[Mapping[str, Any]], name: str) -> Row:
    """Share of logs whose interval holds the roll-out, and how wide and how sure they are."""
    truth, found = _of(cells, OURS), [cell["estimates"][name] for cell in cells]
    lower, upper, effective, freedom = (
        np.array([e[key] for e in found], np.float64)
        for key in ("lower", "upper", "effective", "degrees_of_freedom")
    )
    holds = (lower <= truth) & (truth <= upper)
    certified = np.array([e["certified"] for e in found])
    clicks, users = (float(np.mean([cell[key] for cell in cells])) for key in ("clicks", "users"))
    return Row(
        measure,
        float(holds.mean()),
        bar=f">= {COVERED:g}",
        holds=bool(holds.mean() >= COVERED),
        note=f"{found[0]['estimator']}; {int((truth > upper).sum())} above it, "
        f"{int((truth < lower).sum())} below; certified {int(certified.sum())}, of which "
        f"{int(holds[certified].sum())} hold; median width {np.median(upper - lower):.4f}, "
        f"effective rounds {np.median(effective):.0f}, degrees of freedom "
        f"{np.median(freedom):.1f}; on the mean {users:.0f} users, {clicks:.0f} clicks",
    )


def _apart(world: str, cells: Sequence[Mapping[str, Any]]) -> Row:
    """How much of the roll-out depends on the path that the contexts come from."""
    paths = {p: np.array([cell["paths"][p] for cell in cells]) for p in cells[0]["paths"]}
    ratio = paths["best"] / paths["uniform"]
    error = float(ratio.std(ddof=1) / np.sqrt(len(ratio)))
    return Row(
        f"{world}: ours where the best is shown, over where all are",
        float(ratio.mean()),
        note=f"its value in contexts of either path; standard error {error:.4f}",
    )
