from __future__ import annotations

import json
import math

import numpy as np
import pyarrow as pa
import pytest

from mrlm.ope import EvaluationBatch, EvaluationState, difference, estimates
from mrlm.ope.registry import FAMILY
from mrlm.ope.table import evaluate_table
from mrlm.ope.table.files import any_format
from tests.ope.table.tables import written

KEYS = {
    "policy",
    "objective",
    "estimator",
    "estimand",
    "value",
    "lower",
    "upper",
    "level",
    "certified",
    "reason",
    "rows_needed",
}


def rows(found):
    return {
        (r["policy"], r["objective"], r["estimator"]): r
        for r in [*found.to_json()["estimates"], *found.to_json()["differences"]]
    }


def same(one, two):
    first, second = rows(one), rows(two)
    assert first.keys() == second.keys()
    for key, row in first.items():
        for field in ("value", "lower", "upper"):
            assert second[key][field] == pytest.approx(row[field], rel=1e-9, abs=1e-12)
        assert second[key]["certified"] == row["certified"]


def test_the_estimates_are_those_of_whole_candidate_sets(tmp_path, make_table):
    """A table's numbers equal those of an EvaluationBatch with all three candidates."""
    table = make_table()
    n, logger = len(table), np.array([0.5, 0.3, 0.2])
    targets = {"a": np.array([0.2, 0.3, 0.5]), "b": np.array([0.4, 0.4, 0.2])}
    q = np.column_stack([np.array([0.1, 0.3, 0.5]), np.array([0.8, 0.5, 0.4])]) + 0.05
    propensity = table["propensity"].to_numpy()
    action = np.array([np.flatnonzero(logger == p)[0] for p in propensity])
    batches = {
        name: EvaluationBatch(
            cluster=np.array(table["user_id"].to_pylist(), object),
            offsets=np.arange(n + 1) * 3,
            target=np.tile(p, n),
            shown=np.arange(n) * 3 + action,
            propensity=propensity,
            rewards=np.column_stack([table["reward_click"], table["reward_view"]]),
            objectives=("click", "view"),
            q=np.tile(q, (n, 1)),
            policy=name,
        )
        for name, p in targets.items()
    }
    found = rows(evaluate_table(written(tmp_path, table), level=0.9))
    names = ("ips", "snips", "dm", "dr", "sndr")
    for name in names:
        scores = {p: FAMILY[name](b) for p, b in batches.items()}
        wanted = {**scores, "a - b": difference(scores["a"], scores["b"])}
        for policy, s in wanted.items():
            for objective, e in estimates(EvaluationState.of(s), level=0.9).items():
                row = found[policy, objective, name]
                for field in ("value", "lower", "upper"):
                    assert row[field] == pytest.approx(getattr(e, field), rel=1e-9, abs=1e-12)
                assert (row["certified"], row["reason"]) == (e.certified, e.certificate.reason)
    assert len(found) == 3 * 2 * len(names)


def test_json_has_the_keys_that_are_promised(tmp_path, make_table):
    found = evaluate_table(written(tmp_path, make_table()))
    whole = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert set(whole) == {"estimates", "differences", "diagnostics", "selected"}
    assert all(set(r) == KEYS for r in [*whole["estimates"], *whole["differences"]])
    assert whole["selected"] == {"click": "dr", "view": "dr"}
    assert whole["diagnostics"]["rows"] == 4000
    overlap = whole["diagnostics"]["overlap"]
    assert [(d["policy"], d["objective"]) for d in overlap] == [
        (p, o) for p in "ab" for o in ("click", "view")
    ]
    assert {d["estimators"] for d in overlap} == {"ips, snips, dm, dr, sndr"}
    counted = whole["diagnostics"]["weights"]["a"]
    assert sum(counted["counts"]) + counted["zero"] == 4000


def test_predictions_of_shown_items_may_be_of_each_policy(tmp_path, make_table):
    """``q_hat_OBJECTIVE`` is shared, ``q_hat_POLICY_OBJECTIVE`` is the policy's own."""
    table = make_table(n=500)
    shared = rows(evaluate_table(written(tmp_path, table)))
    own = table
    for objective in ("click", "view"):
        for policy in "ab":
            own = own.append_column(f"q_hat_{policy}_{objective}", own[f"q_hat_{objective}"])
        own = own.drop_columns(f"q_hat_{objective}")
    assert rows(evaluate_table(written(tmp_path, own))) == shared
    place = own.column_names.index("q_hat_b_view")
    own = own.set_column(place, "q_hat_b_view", pa.array(np.zeros(500)))
    changed = rows(evaluate_table(written(tmp_path, own)))
    moved = {k for k, r in changed.items() if r["value"] != shared[k]["value"]}
    assert moved == {(p, "view", e) for p in ("b", "a - b") for e in ("dr", "sndr")}


@pytest.mark.parametrize("order", ["scattered", "sorted"])
def test_small_batches_csv_and_sorted_users_give_the_same(tmp_path, make_table, monkeypatch, order):
    table = make_table().sort_by("user_id")
    whole = evaluate_table(written(tmp_path, table))
    same(whole, evaluate_table(written(tmp_path, table, "log.csv"), order=order))
    monkeypatch.setattr(any_format, "ROWS_AT_ONCE", 97)
    same(whole, evaluate_table(written(tmp_path, table), order=order))


def test_a_table_that_is_not_sorted_says_so(tmp_path, make_table):
    with pytest.raises(
        ValueError, match=r"log.parquet: row \d+: user_id '.*' comes after .*: sort by user"
    ):
        evaluate_table(written(tmp_path, make_table()), order="sorted")


def test_the_least_a_table_needs(tmp_path):
    g = np.random.default_rng(1)
    n = 3000
    table = pa.table(
        {
            "propensity": np.full(n, 0.5),
            "target_probability": g.choice([0.2, 0.8], n),
            "reward": g.random(n),
        }
    )
    found = evaluate_table(written(tmp_path, table))
    assert [(e.policy, e.objective, e.estimator) for e in found.estimates] == [
        ("policy", "reward", "ips"),
        ("policy", "reward", "snips"),
    ]
    assert found.differences == ()
    assert "each row is taken for a user of its own" in found.warnings[0]
    assert found.estimates[0].users == n
    assert found.selected == {"reward": "snips"}


def test_a_slot_without_its_request_is_a_decision(tmp_path, make_table):
    found = evaluate_table(written(tmp_path, make_table(n=60)))
    assert found.round == "decision"
    assert "slot is given without request_id" in found.warnings[0]


def test_nothing_is_selected_where_nothing_is_certified(tmp_path, make_table):
    found = evaluate_table(written(tmp_path, make_table(n=60, users=20)))
    assert found.selected == {"click": None, "view": None}


def test_unknown_rewards_are_left_out(tmp_path, make_table):
    table = make_table()
    holes = np.array(table["reward_click"].to_pylist(), object)
    holes[::3] = None
    place = table.column_names.index("reward_click")
    table = table.set_column(place, "reward_click", pa.array(holes, pa.float64()))
    found = {
        (e.policy, e.objective): e.rows for e in evaluate_table(written(tmp_path, table)).estimates
    }
    assert found["a", "click"] == 4000 - math.ceil(4000 / 3)
    assert found["a", "view"] == 4000


@pytest.mark.parametrize(
    ("column", "value", "match"),
    [
        ("propensity", 0.0, r"log.parquet: row 7: the propensity must be in \(0, 1\]"),
        ("propensity", None, "row 7: the propensity"),
        ("target_probability_b", 1.5, "row 7: the target probability of b"),
        ("reward_view", math.inf, "row 7: the reward view is infinite"),
        ("q_hat_click", None, "row 7: q_hat of click is missing"),
        ("v_hat_a_click", math.nan, "row 7: v_hat of click is missing"),
        ("user_id", None, "row 7: user_id is missing"),
    ],
)
def test_bad_values_name_file_row_and_column(
    tmp_path, make_table, monkeypatch, column, value, match
):
    # The row is counted through the file, not through the batch.
    monkeypatch.setattr(any_format, "ROWS_AT_ONCE", 5)
    table = make_table(n=20)
    values = table[column].to_pylist()
    values[7] = value
    place = table.column_names.index(column)
    table = table.set_column(place, column, pa.array(values, table.schema.field(column).type))
    with pytest.raises(ValueError, match=match):
        evaluate_table(written(tmp_path, table))


@pytest.mark.parametrize(
    ("drop", "rename", "match"),
    [
        (["propensity"], {}, "no column propensity"),
        (["target_probability_a", "target_probability_b"], {}, "no column target_probability"),
        (["q_hat_view"], {}, "q_hat is given for 2 of 4"),
        ([], {"v_hat_a_view": "v_hat_c_view"}, "v_hat is given for 3 of 4"),
        ([], {"slot": "q_hat_like"}, "fit no policy"),
        ([], {"slot": "target_probability"}, "give each a name"),
    ],
)
def test_bad_columns_are_named(tmp_path, make_table, drop, rename, match):
    table = make_table(n=20).drop_columns(drop)
    table = table.rename_columns([rename.get(n, n) for n in table.column_names])
    with pytest.raises(ValueError, match=match):
        evaluate_table(written(tmp_path, table))


def test_text_for_numbers(tmp_path, make_table):
    table = make_table(n=20)
    text = table.set_column(
        1, "propensity", pa.array([str(x) for x in table["propensity"].to_pylist()])
    )
    with pytest.raises(ValueError, match="column propensity must be numbers; it is string"):
        evaluate_table(written(tmp_path, text))
    (tmp_path / "bad.csv").write_text("propensity,target_probability,reward\n0.5,0.5,abc\n")
    with pytest.raises(ValueError, match=r"bad.csv: .*abc"):
        evaluate_table(tmp_path / "bad.csv")


@pytest.mark.parametrize(
    ("name", "match"), [("log.pkl", "pickle"), ("log.xls", "unknown format"), ("x.parquet", "not")]
)
def test_files_that_are_not_read(tmp_path, name, match):
    (tmp_path / name).write_text("x")
    with pytest.raises(ValueError, match=match):
        evaluate_table(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="no file"):
        evaluate_table(tmp_path / "nowhere.parquet")
