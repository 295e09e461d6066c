from __future__ import annotations

import itertools
import math

import numpy as np
import pyarrow as pa
import pytest

from mrlm.ope import EvaluationState, difference, estimates
from mrlm.ope.slates import SLATE_ESTIMATORS, SlateBatch
from mrlm.ope.table import evaluate_table
from mrlm.ope.table.files import any_format
from mrlm.ope.table.rounds import whole_rounds
from tests.ope.table.tables import by_key, written

LISTS = list(itertools.permutations(range(3), 2))
# Multiples of an eighth, so that a log of 64 slates has each list as often as it is likely.
LOGGER = ((0.5, 0.25, 0.25), {0: (0, 0.5, 0.5), 1: (0.25, 0, 0.75), 2: (0.5, 0.5, 0)})
POLICIES = {
    "a": ((0.2, 0.5, 0.3), {0: (0, 0.1, 0.9), 1: (0.6, 0, 0.4), 2: (0.3, 0.7, 0)}),
    "b": ((0.6, 0.2, 0.2), {0: (0, 0.4, 0.6), 1: (0.5, 0, 0.5), 2: (0.8, 0.2, 0)}),
}
G = np.random.default_rng(3)
EXAMINATION = (0.9, 0.4)
LONE, PAIR, ABOVE = G.random((2, 3)), G.random((3, 3)), G.random((3, 3))


def given(policy, a, b):
    return policy[0][a], policy[1][a][b]


def whole(policy, a, b):
    return math.prod(given(policy, a, b))


def marginal(policy, a, b):
    second = sum(policy[0][x] * policy[1][x][b] for x in range(3) if x != b)
    return policy[0][a], second


def anywhere(policy, item):
    return sum(whole(policy, a, b) for a, b in LISTS if item in (a, b))


def exposure(policy, a, b):
    """Expected examination of each shown item over all lists."""
    return tuple(
        sum(whole(policy, *x) * EXAMINATION[x.index(item)] for x in LISTS if item in x)
        for item in (a, b)
    )


def rewards(a, b, world):
    """Of both slots: of each alone, of the one below on those above, of each on all."""
    first, second = LONE[0, a], LONE[1, b]
    if world == "position":
        return EXAMINATION[0] * LONE[0, a], EXAMINATION[1] * LONE[0, b]
    if world != "alone":
        second += PAIR[a, b]
    if world == "any":
        first += ABOVE[a, b]
    return first, second


def truth(policy, world):
    return sum(whole(policy, a, b) * sum(rewards(a, b, world)) for a, b in LISTS)


def slates(kind, world, copies=64, logger=LOGGER, predictions=True):
    """Every list of 64 slates as often as it is likely, copied, in random order of slates."""
    counts = [round(64 * whole(logger, a, b)) for a, b in LISTS]
    assert counts == [64 * whole(logger, a, b) for a, b in LISTS]
    shown = [x for x, c in zip(LISTS, counts, strict=True) for _ in range(c)] * copies
    shown = [shown[i] for i in np.random.default_rng(0).permutation(len(shown))]
    probabilities = {
        "conditional": given,
        "marginal": marginal,
        "exposure": exposure,
        "slate": lambda p, a, b: (whole(p, a, b),) * 2,
    }[kind]
    guess = np.random.default_rng(5).random((4, 3))
    columns: dict[str, list] = {
        "request_id": np.repeat([f"r{i:05d}" for i in range(len(shown))], 2),
        "user_id": np.repeat([f"u{i // 3:05d}" for i in range(len(shown))], 2),
        "slot": np.tile([1, 2], len(shown)),
        "examination": np.tile(EXAMINATION, len(shown)),
        "propensity": np.array([probabilities(logger, a, b) for a, b in shown]).ravel(),
        "reward": np.array([rewards(a, b, world) for a, b in shown]).ravel(),
    }
    for name, p in POLICIES.items():
        columns[f"target_probability_{name}"] = np.array(
            [probabilities(p, a, b) for a, b in shown]
        ).ravel()
        columns[f"inclusion_{name}"] = np.array(
            [[anywhere(p, a), anywhere(p, b)] for a, b in shown]
        ).ravel()
        if predictions:
            columns[f"q_hat_{name}"] = np.array(
                [[guess[0, a], guess[1 + a, b]] for a, b in shown]
            ).ravel()
            below = [float(np.dot(p[1][a], guess[1 + a])) for a in range(3)]
            columns[f"v_hat_{name}"] = np.array(
                [[np.dot(p[0], guess[0]), below[a]] for a, _ in shown]
            ).ravel()
    return pa.table(columns)


@pytest.mark.parametrize(
    ("kind", "world", "exact"),
    [
        ("conditional", "any", ["sips", "snsips"]),
        ("conditional", "above", ["sips", "rips", "cascade_dr"]),
        ("slate", "any", ["sips", "snsips"]),
        ("marginal", "alone", ["iips", "sniips"]),
        ("exposure", "position", ["pbm", "snpbm"]),
    ],
)
def test_the_truth_by_enumeration(tmp_path, kind, world, exact):
    """In a log where each list is as frequent as it is likely, estimates are the true values."""
    found = by_key(evaluate_table(written(tmp_path, slates(kind, world)), propensity_kind=kind))
    true = {p: truth(POLICIES[p], world) for p in POLICIES}
    true["a - b"] = true["a"] - true["b"]
    for policy, value in true.items():
        for name in exact:
            assert found[policy, name].value == pytest.approx(value, abs=1e-9)
    # The items below matter there: what assumes that they do not is off.
    if world == "any" and kind == "conditional":
        assert abs(found["a", "rips"].value - true["a"]) > 0.01


def test_uniform_rankings(tmp_path):
    """The pseudo-inverse, from position and inclusion probabilities; other loggers are refused."""
    shown = LISTS * 200
    table = slates("marginal", "alone").slice(0, 2 * len(shown))
    new = {
        "propensity": np.full(2 * len(shown), 1 / 3),
        "reward": np.array([rewards(*x, "alone") for x in shown]).ravel(),
    }
    for name, p in POLICIES.items():
        new[f"target_probability_{name}"] = np.array([marginal(p, *x) for x in shown]).ravel()
        new[f"inclusion_{name}"] = np.array([[anywhere(p, i) for i in x] for x in shown]).ravel()
    for name, values in new.items():
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.array(values))
    found = by_key(evaluate_table(written(tmp_path, table), propensity_kind="marginal"))
    for policy, p in POLICIES.items():
        e = found[policy, "uniform_pi"]
        assert e.value == pytest.approx(truth(p, "alone"), abs=1e-9)
        assert not e.certified
        assert "its bias has no bound" in e.certificate.reason
    other = by_key(
        evaluate_table(
            written(tmp_path, slates("marginal", "alone"), "other.parquet"),
            propensity_kind="marginal",
        )
    )
    refused = other["a", "uniform_pi"]
    assert math.isnan(refused.value)
    assert "needs a logger of uniformly random rankings" in refused.certificate.reason


def test_what_another_kind_needs_is_refused_with_the_reason(tmp_path):
    found = evaluate_table(written(tmp_path, slates("conditional", "any", predictions=False)))
    assert found.round == "slate"
    rows = {(r["policy"], r["estimator"]): r for r in found.to_json()["estimates"]}
    assert {n for _, n in rows} == set(SLATE_ESTIMATORS)
    for name, reason in {
        "iips": "needs propensities of kind marginal or independent; these are conditional: log",
        "pi": "needs propensities of kind independent",
        "pbm": "needs propensities of kind exposure",
        "cascade_dr": "needs the columns q_hat",
        "uniform_pi": "needs propensities of kind marginal",
    }.items():
        row = rows["a", name]
        assert (row["value"], row["lower"], row["certified"]) == (None, None, False)
        assert reason in row["reason"]
    assert rows["a", "sips"]["estimand"] == "per slate"
    assert "its bias has no bound" in rows["a", "rips"]["reason"]
    assert rows["a", "rips"]["value"] is not None
    overlap = found.to_json()["diagnostics"]["overlap"]
    assert {d["estimators"] for d in overlap} == {"sips, snsips, rips, snrips"}
    # Only estimators that need no assumption can be chosen.
    assert found.selected == {"reward": "snsips"}
    assert {e.estimator for e in found.differences} == {"sips", "snsips", "rips", "snrips"}


def test_the_estimates_are_those_of_the_slates(tmp_path):
    table = slates("conditional", "any")
    n = len(table) // 2
    batches = {
        p: SlateBatch(
            cluster=np.array(table["user_id"].to_pylist()[::2], object),
            offsets=np.arange(n + 1) * 2,
            propensity=table["propensity"].to_numpy(),
            target=table[f"target_probability_{p}"].to_numpy(),
            rewards=table["reward"].to_numpy()[:, None],
            objectives=("reward",),
            q=table[f"q_hat_{p}"].to_numpy()[:, None],
            v=table[f"v_hat_{p}"].to_numpy()[:, None],
            policy=p,
        )
        for p in POLICIES
    }
    found = by_key(evaluate_table(written(tmp_path, table), level=0.9))
    for name in ("sips", "snsips", "rips", "snrips", "cascade_dr"):
        scores = {p: SLATE_ESTIMATORS[name](b) for p, b in batches.items()}
        wanted = {**scores, "a - b": difference(scores["a"], scores["b"])}
        for policy, s in wanted.items():
            e, mine = estimates(EvaluationState.of(s), level=0.9)["reward"], found[policy, name]
            for attribute in ("value", "lower", "upper"):
                assert getattr(mine, attribute) == pytest.approx(getattr(e, attribute), rel=1e-9)
            assert mine.certificate == e.certificate
            assert (mine.rows, mine.users) == (n, e.users)


@pytest.mark.parametrize("name", ["log.parquet", "log.csv"])
@pytest.mark.parametrize("shuffled", [False, True])
def test_any_order_and_size_of_batches_gives_the_same(tmp_path, monkeypatch, name, shuffled):
    table = slates("conditional", "above", copies=1)
    whole_table = by_key(evaluate_table(written(tmp_path, table, "whole.parquet")))
    if shuffled:
        table = table.take(np.random.default_rng(1).permutation(len(table)))
    monkeypatch.setattr(any_format, "ROWS_AT_ONCE", 7)
    monkeypatch.setattr(any_format, "_CSV_BYTES_AT_ONCE", 500)
    monkeypatch.setattr(whole_rounds, "_ROWS_AT_ONCE", 11)
    for key, e in by_key(evaluate_table(written(tmp_path, table, name))).items():
        for attribute in ("value", "lower", "upper"):
            known = getattr(whole_table[key], attribute)
            assert getattr(e, attribute) == pytest.approx(known, rel=1e-9, nan_ok=True)


def test_a_long_file_whose_requests_are_together_is_streamed(tmp_path, monkeypatch):
    """In any order of requests; one that comes again is found, however far away."""
    table = slates("conditional", "above", copies=1)
    found = by_key(evaluate_table(written(tmp_path, table)))
    order = np.random.default_rng(2).permutation(len(table) // 2)
    table = table.take(np.repeat(2 * order, 2) + np.tile([0, 1], len(order)))
    monkeypatch.setattr(any_format, "ROWS_AT_ONCE", 9)
    monkeypatch.setattr(whole_rounds, "GATHERED_ROWS", 50)
    for key, e in by_key(evaluate_table(written(tmp_path, table))).items():
        assert e.value == pytest.approx(found[key].value, rel=1e-9, nan_ok=True)
    apart = pa.concat_tables([table.slice(0, 1), table.slice(2), table.slice(1, 1)])
    last = len(table) - 1
    name = table["request_id"][0].as_py()
    with pytest.raises(ValueError, match=f"row {last}: request_id '{name}' comes again.*sort"):
        evaluate_table(written(tmp_path, apart))


def test_the_kind_may_be_a_column(tmp_path):
    table = slates("marginal", "alone")
    known = by_key(evaluate_table(written(tmp_path, table), propensity_kind="marginal"))
    kinds = np.full(len(table), "marginal", object)
    with_kind = table.append_column("propensity_kind", pa.array(kinds))
    for name in ("log.parquet", "log.csv"):
        found = by_key(evaluate_table(written(tmp_path, with_kind, name)))
        assert found["a", "iips"].value == pytest.approx(known["a", "iips"].value, rel=1e-12)
    kinds[9] = "slate"
    mixed = table.append_column("propensity_kind", pa.array(kinds))
    with pytest.raises(ValueError, match="row 9: propensity_kind is 'slate' in a table of kind"):
        evaluate_table(written(tmp_path, mixed))


def test_a_slate_with_an_unknown_reward_is_left_out(tmp_path):
    """For that objective only, and the whole slate."""
    table = slates("conditional", "any", copies=4, predictions=False)
    known = table["reward"].to_numpy()
    holes = known.astype(object)
    holes[1::8] = None  # The lower slot of every fourth slate.
    table = table.rename_columns(
        ["reward_all" if c == "reward" else c for c in table.column_names]
    ).append_column("reward_some", pa.array(holes, pa.float64()))
    found = evaluate_table(written(tmp_path, table))
    by_objective = {e.objective: e for e in found.estimates if e.estimator == "snsips"}
    assert (by_objective["all"].rows, by_objective["some"].rows) == (256, 192)
    keep = np.repeat(np.arange(256) % 4 != 0, 2)
    rest = evaluate_table(written(tmp_path, table.filter(pa.array(keep)), "rest.parquet"))
    (same,) = (
        e for e in rest.estimates if (e.policy, e.objective, e.estimator) == ("b", "all", "snsips")
    )
    assert by_objective["some"].policy == "b"
    assert by_objective["some"].value == pytest.approx(same.value, rel=1e-12)


def test_rows_of_slates_can_be_judged_as_decisions(tmp_path):
    found = evaluate_table(
        written(tmp_path, slates("conditional", "alone", copies=4)), round="decision"
    )
    assert (found.round, found.rows) == ("decision", 512)
    assert {e.estimator for e in found.estimates} == {"ips", "snips", "dm", "dr", "sndr"}


@pytest.mark.parametrize(
    ("column", "row", "value", "match"),
    [
        ("request_id", 7, None, "log.parquet: row 7: request_id is missing"),
        ("slot", 7, None, "row 7: request_id 'r00003': slot nan is not a whole number"),
        ("slot", 7, 1, "row 7: request_id 'r00003': slot 1 comes twice"),
        ("slot", 7, 3, "row 7: request_id 'r00003': slot 3 does not follow.*rows are missing"),
        ("user_id", 7, "x", "row 7: request_id 'r00003': slot 2 has another user_id"),
        ("propensity", 7, 0.0, "row 7: the propensity must be in"),
        ("target_probability_b", 6, -1.0, "row 6: the target probability of b"),
        ("reward", 6, math.inf, "row 6: the reward reward is infinite"),
        ("q_hat_a", 6, math.nan, "row 6: q_hat of reward is missing"),
    ],
)
def test_bad_values_name_file_row_and_column(tmp_path, monkeypatch, column, row, value, match):
    monkeypatch.setattr(any_format, "ROWS_AT_ONCE", 5)
    table = slates("conditional", "alone", copies=1)
    values = table[column].to_pylist()
    values[row] = value
    place = table.column_names.index(column)
    table = table.set_column(place, column, pa.array(values, table.schema.field(column).type))
    with pytest.raises(ValueError, match=match):
        evaluate_table(written(tmp_path, table))


def test_bad_slates_are_named(tmp_path):
    table = slates("conditional", "alone", copies=1)
    with pytest.raises(
        ValueError, match=r"row 3: .* whole slate must be the same in all its slots"
    ):
        evaluate_table(written(tmp_path, table), propensity_kind="slate")
    with pytest.raises(ValueError, match=r"row 2: .*slot 2 is its first, and the table must count"):
        evaluate_table(written(tmp_path, pa.concat_tables([table.slice(0, 2), table.slice(3)])))
    with pytest.raises(ValueError, match="kind must be one of"):
        evaluate_table(written(tmp_path, table), propensity_kind="joint")
    with pytest.raises(ValueError, match="need the column examination"):
        evaluate_table(
            written(tmp_path, table.drop_columns("examination")), propensity_kind="exposure"
        )
    place = table.column_names.index("examination")
    bad = table.set_column(place, "examination", pa.array(np.zeros(len(table))))
    with pytest.raises(ValueError, match="row 0: examination must be a probability above 0"):
        evaluate_table(written(tmp_path, bad))
    inclusion = table.column_names.index("inclusion_a")
    bad = table.set_column(inclusion, "inclusion_a", pa.array(np.full(len(table), 1.5)))
    with pytest.raises(ValueError, match="row 0: inclusion_a must be a probability"):
        evaluate_table(written(tmp_path, bad), propensity_kind="marginal")
    with pytest.raises(ValueError, match="a propensity kind is one of slates"):
        evaluate_table(written(tmp_path, table.drop_columns("slot")), propensity_kind="conditional")
