from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from mrlm.ope import EvaluationState, difference, estimates
from mrlm.ope.sequential import PerDecisionIS, SequentialDR, SessionBatch, TrajectoryIS
from mrlm.ope.table import evaluate_table
from mrlm.ope.table.estimates.readings import TERMS
from mrlm.ope.table.files import any_format
from mrlm.ope.table.rounds import whole_rounds
from tests.ope.table.tables import by_key, written

# Two actions; a session has up to three steps and may end after each; all chances are multiples of
# a quarter, so that a log of 4^5 sessions has every course exactly as often as it is likely.
LOGGER = (0.25, 0.75)
POLICIES = {"a": (0.6, 0.4), "b": (0.35, 0.65)}
GOES_ON = (0.75, 0.5)
STEPS = 3
REWARD = np.random.default_rng(7).random((STEPS, 2, 2))
GUESS = np.random.default_rng(8).random((STEPS, 2))


def courses(chance=1.0, steps=()):
    """(actions, probability under the logger) of every course; the state is the action before."""
    for a in (0, 1):
        now, p = (*steps, a), chance * LOGGER[a]
        if len(now) == STEPS:
            yield now, p
            continue
        yield now, p * (1 - GOES_ON[a])
        yield from courses(p * GOES_ON[a], now)


def reward(actions, t):
    return REWARD[t, actions[t - 1] if t else 0, actions[t]]


def truth(policy, discount):
    total = 0.0
    for actions, p in courses():
        ratio = math.prod(policy[a] / LOGGER[a] for a in actions)
        total += p * ratio * sum(discount**t * reward(actions, t) for t in range(len(actions)))
    return total


def sessions(predictions=True, users=True):
    shown = [actions for actions, p in courses() for _ in range(round(4**5 * p))]
    assert len(shown) == 4**5
    shown = [shown[i] for i in np.random.default_rng(0).permutation(len(shown))]
    flat = [(i, t, actions) for i, actions in enumerate(shown) for t in range(len(actions))]
    columns: dict[str, list] = {
        "session_id": [f"s{i:04d}" for i, _, _ in flat],
        "step": [t for _, t, _ in flat],
        "propensity": [LOGGER[x[t]] for _, t, x in flat],
        "reward": [reward(x, t) for _, t, x in flat],
    }
    if users:
        columns["user_id"] = [f"u{i // 2:04d}" for i, _, _ in flat]
    for name, p in POLICIES.items():
        columns[f"target_probability_{name}"] = [p[x[t]] for _, t, x in flat]
        if predictions:
            columns[f"q_hat_{name}"] = [GUESS[t, x[t]] for _, t, x in flat]
            columns[f"v_hat_{name}"] = [float(np.dot(p, GUESS[t])) for _, t, _ in flat]
    return pa.table(columns)


@pytest.mark.parametrize("discount", [1.0, 0.5])
def test_the_truth_by_enumeration(tmp_path, discount):
    """In a log where each course is as frequent as it is likely, estimates are the true values."""
    found = by_key(evaluate_table(written(tmp_path, sessions()), discount=discount))
    ending = "" if discount == 1 else f", discount {discount!r}"
    true = {p: truth(POLICIES[p], discount) for p in POLICIES}
    true["a - b"] = true["a"] - true["b"]
    for policy, value in true.items():
        for name in ("trajectory_is", "sn_trajectory_is", "per_decision_is", "sequential_dr"):
            assert found[policy, name + ending].value == pytest.approx(value, abs=1e-9)
        # Every weight has mean 1 in this log, so the self-normalised forms are exact too.
        for name in ("sn_per_decision_is", "sn_sequential_dr"):
            assert found[policy, name + ending].value == pytest.approx(value, abs=1e-9)
    assert abs(truth(POLICIES["a"], 1.0) - truth(POLICIES["a"], 0.5)) > 0.1


def test_the_estimates_are_those_of_the_sessions(tmp_path):
    table = sessions()
    step = table["step"].to_numpy()
    offsets = np.append(np.flatnonzero(step == 0), len(step))
    found = by_key(evaluate_table(written(tmp_path, table), level=0.9))
    one = np.arange(len(step))
    batches = {
        p: SessionBatch(
            cluster=np.array(table["user_id"].to_pylist(), object)[offsets[:-1]],
            offsets=offsets,
            log_propensity=np.log(table["propensity"].to_numpy()),
            log_target=np.log(table[f"target_probability_{p}"].to_numpy()),
            rewards=table["reward"].to_numpy()[:, None],
            objectives=("reward",),
            step_offsets=np.arange(len(step) + 1),
            shown=one,
            q=table[f"q_hat_{p}"].to_numpy()[:, None],
            v=table[f"v_hat_{p}"].to_numpy()[:, None],
            policy=p,
        )
        for p in POLICIES
    }
    for estimator in (
        TrajectoryIS(),
        TrajectoryIS(self_normalised=True),
        PerDecisionIS(self_normalised=True, terms=TERMS),
        SequentialDR(),
        SequentialDR(self_normalised=True, terms=TERMS),
    ):
        scores = {p: estimator(b) for p, b in batches.items()}
        wanted = {**scores, "a - b": difference(scores["a"], scores["b"])}
        for policy, s in wanted.items():
            e = estimates(EvaluationState.of(s), level=0.9)["reward"]
            mine = found[policy, estimator.name]
            for attribute in ("value", "lower", "upper"):
                assert getattr(mine, attribute) == pytest.approx(getattr(e, attribute), rel=1e-9)
            assert mine.certificate == e.certificate
            assert (mine.rows, mine.users) == (4**5, e.users)


def test_verdicts_and_choice(tmp_path):
    found = evaluate_table(written(tmp_path, sessions()))
    assert (found.round, found.unit) == ("session", "user_id")
    assert found.selected == {"reward": "sequential_dr"}
    assert by_key(found)["a", "sequential_dr"].certified
    assert "its bias has no bound" in by_key(found)["a", "fqe"].certificate.reason
    bare = evaluate_table(written(tmp_path, sessions(predictions=False)), discount=0.5)
    assert bare.selected == {"reward": "sn_per_decision_is, discount 0.5"}
    refused = by_key(bare)["a", "sequential_dr, discount 0.5"]
    assert math.isnan(refused.value)
    assert "needs the columns q_hat and v_hat" in refused.certificate.reason
    assert {r["estimand"] for r in bare.to_json()["estimates"]} == {"per session"}


@pytest.mark.parametrize("name", ["log.parquet", "log.csv"])
@pytest.mark.parametrize("shuffled", [False, True])
def test_any_order_and_size_of_batches_gives_the_same(tmp_path, monkeypatch, name, shuffled):
    table = sessions().slice(0, 400)
    starts = np.flatnonzero(table["step"].to_numpy() == 0)
    table = table.slice(0, int(starts[-1]))
    whole = by_key(evaluate_table(written(tmp_path, table, "whole.parquet")))
    if shuffled:
        table = table.take(np.random.default_rng(1).permutation(len(table)))
    monkeypatch.setattr(any_format, "ROWS_AT_ONCE", 31)
    monkeypatch.setattr(any_format, "_CSV_BYTES_AT_ONCE", 2000)
    monkeypatch.setattr(whole_rounds, "_ROWS_AT_ONCE", 29)
    for key, e in by_key(evaluate_table(written(tmp_path, table, name))).items():
        for attribute in ("value", "lower", "upper"):
            assert getattr(e, attribute) == pytest.approx(getattr(whole[key], attribute), rel=1e-9)


def test_ids_may_be_numbers_or_codes(tmp_path):
    table = sessions().slice(0, 301)
    last = int(np.flatnonzero(table["step"].to_numpy() == 0)[-1])
    table = table.slice(0, last)
    known = by_key(evaluate_table(written(tmp_path, table)))
    shuffled = table.take(np.random.default_rng(3).permutation(len(table)))
    place = table.column_names.index("session_id")
    codes = shuffled["session_id"].combine_chunks().dictionary_encode()
    for ids in (codes, codes.indices.cast(pa.int64())):
        found = by_key(
            evaluate_table(written(tmp_path, shuffled.set_column(place, "session_id", ids)))
        )
        for key, e in found.items():
            assert e.value == pytest.approx(known[key].value, rel=1e-9)
    numbers = pa.array(np.arange(len(table)) / 2)
    with pytest.raises(ValueError, match="column session_id must be integers or text"):
        evaluate_table(written(tmp_path, table.set_column(place, "session_id", numbers)))


def test_users_in_order_and_sessions_as_units_take_folded_users(tmp_path, monkeypatch):
    """The moments of users who will not come back give what all users' sums give."""
    table = sessions()
    whole = by_key(evaluate_table(written(tmp_path, table)))
    monkeypatch.setattr(any_format, "ROWS_AT_ONCE", 301)
    table = table.sort_by([("user_id", "ascending"), ("session_id", "ascending")])
    for key, e in by_key(evaluate_table(written(tmp_path, table), order="sorted")).items():
        for attribute in ("value", "lower", "upper"):
            assert getattr(e, attribute) == pytest.approx(getattr(whole[key], attribute), rel=1e-9)
    alone = evaluate_table(written(tmp_path, sessions(users=False)))
    assert alone.unit == "session_id"
    assert "clustered by session_id" in alone.warnings[0]
    for key, e in by_key(alone).items():
        assert e.value == pytest.approx(whole[key].value, rel=1e-9)
        assert e.users == 4**5


def test_weights_of_long_sessions_are_refused_and_finite(tmp_path):
    steps, n = 3000, 4
    g = np.random.default_rng(0)
    table = pa.table(
        {
            "session_id": np.repeat(np.arange(n), steps),
            "step": np.tile(np.arange(1, steps + 1), n),
            "propensity": g.uniform(1e-3, 1e-2, n * steps),
            "target_probability": g.uniform(1e-3, 1e-2, n * steps),
            "reward": g.random(n * steps),
        }
    )
    for e in evaluate_table(written(tmp_path, table)).estimates:
        assert not e.certified
        if "q_hat" not in str(e.certificate.reason):
            assert math.isfinite(e.value)


def test_which_value_must_be_said_where_the_columns_say_two(tmp_path):
    table = sessions()
    table = table.append_column("request_id", pa.array(np.arange(len(table))))
    table = table.append_column("slot", pa.array(np.zeros(len(table), int)))
    path = written(tmp_path, table)
    with pytest.raises(ValueError, match="say which value is wanted"):
        evaluate_table(path)
    values = {e: evaluate_table(path, round=e).round for e in ("slate", "session")}
    assert values == {"slate": "slate", "session": "session"}
    with pytest.raises(ValueError, match="a round must be one of"):
        evaluate_table(path, round="week")
    with pytest.raises(ValueError, match="the value of a slate needs the columns request_id"):
        evaluate_table(written(tmp_path, sessions(), "other.parquet"), round="slate")
    for kind in ("decision", "slate"):
        with pytest.raises(ValueError, match=f"a discount is one of sessions.* {kind}"):
            evaluate_table(path, round=kind, discount=0.9)
    with pytest.raises(ValueError, match=r"discount must be in \(0, 1\]"):
        evaluate_table(path, round="session", discount=1.5)


@pytest.mark.parametrize(
    ("row", "value", "match"),
    [
        (None, None, "row .*: session_id .*: step .* does not follow the one before it"),
        (0, 5, "row 0: session_id 's0000': step 5 is its first"),
        (0, 0.5, "row 0: session_id 's0000': step 0.5 is not a whole number"),
    ],
)
def test_steps_that_are_missing_are_named(tmp_path, row, value, match):
    table = sessions()
    steps = table["step"].to_numpy().astype(float)
    if row is None:
        steps[steps == 1] = 7
        steps[steps == 2] = 9
    else:
        starts = np.append(np.flatnonzero(steps == 0), len(steps))
        steps[row] = value
        table, steps = table.slice(0, int(starts[1])), steps[: int(starts[1])]
        if len(steps) > 1:
            steps[1:] = value + np.arange(1, len(steps))
    table = table.set_column(table.column_names.index("step"), "step", pa.array(steps))
    with pytest.raises(ValueError, match=match):
        evaluate_table(written(tmp_path, table))
