from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.ope.tuned import FURTHER, WORLDS, compare
from mrlm.ope import EvaluationState, estimates
from mrlm.ope.estimators.clipped_ips import ClippedIPS
from mrlm.ope.estimators.dr_shrinkage import DROptimistic, DRPessimistic
from mrlm.ope.estimators.switch_dr import SwitchDR
from mrlm.ope.table import evaluate_table
from mrlm.ope.table.columns.columns import Columns
from mrlm.ope.table.estimates.tuned_estimators import FAMILIES, halves
from mrlm.ope.table.files import any_format
from mrlm.ope.table.rounds.to_logged import to_logged
from tests.ope.table.tables import written

KINDS = {"clipped_ips": ClippedIPS, "dr_os": DROptimistic, "dr_ps": DRPessimistic}
KINDS["switch_dr"] = SwitchDR
NAMES = {f"{k}(tuned)" for k in KINDS}
PLAIN = ["ips", "snips", "dm", "dr", "sndr"]
EVERY = [*PLAIN, *KINDS]


def by_key(found):
    return {(e.policy, e.objective, e.estimator): e for e in (*found.estimates, *found.differences)}


def with_rewards(table, users, change):
    """The table with ``change`` of the rewards of some users."""
    for name in ("reward_click", "reward_view"):
        values = table[name].to_numpy().copy()
        values[users] = change(values[users])
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    return table


def members(text):
    """The members for the users of the first half and for those of the second."""
    both = [KINDS[kind](float(value)) for kind, value in re.findall(r"(\w+)\(\w+=([^)]*)\)", text)]
    return both * 2 if len(both) == 1 else both


def test_the_values_are_those_of_the_members_that_the_other_half_chose(
    tmp_path, make_table, monkeypatch
):
    table = make_table()
    columns = Columns.of(table.column_names)
    plain = by_key(evaluate_table(written(tmp_path, table)))
    monkeypatch.setattr(any_format, "ROWS_AT_ONCE", 701)
    found = evaluate_table(written(tmp_path, table), estimators=EVERY)
    mine = by_key(found)
    assert {e.estimator for e in found.estimates} == {*PLAIN} | NAMES
    for key, e in plain.items():
        assert mine[key].value == pytest.approx(e.value, rel=1e-9)
    for rounds in to_logged(table.to_batches()[0], columns):
        half = halves(rounds.cluster)
        for objective in columns.objectives:
            for name, chosen in found.tuned[rounds.policy][objective].items():
                states = [
                    EvaluationState.of(m(rounds.take(half == k)))
                    for k, m in enumerate(members(chosen))
                ]
                parts = [estimates(s)[objective] for s in states]
                rows = [e.rows for e in parts]
                expected = np.average([e.value for e in parts], weights=rows)
                e = mine[rounds.policy, objective, name]
                assert e.value == pytest.approx(expected)
                assert e.rows == sum(rows)
    assert found.selected == {"click": "dr", "view": "dr"}
    for e in (*found.estimates, *found.differences):
        if e.estimator in NAMES:
            assert not e.certified
            assert "covers its own target" in e.certificate.reason


def test_parameters_never_see_the_rewards_that_they_are_judged_on(tmp_path, make_table):
    table = make_table()
    own = halves(np.array(table["user_id"].to_pylist(), object)) == 0
    assert 0.3 < own.mean() < 0.7

    def chosen(changed):
        tuned = evaluate_table(written(tmp_path, changed), estimators=[*KINDS]).tuned
        return {
            (p, o, n): members(text)
            for p, objectives in tuned.items()
            for o, names in objectives.items()
            for n, text in names.items()
        }

    known, changed = chosen(table), chosen(with_rewards(table, own, lambda r: 100 - 30 * r))
    assert {k: m[0] for k, m in changed.items()} == {k: m[0] for k, m in known.items()}
    assert {k: m[1] for k, m in changed.items()} != {k: m[1] for k, m in known.items()}


def test_each_policy_is_tuned_for_itself(tmp_path, make_table):
    """A policy that is the logger has weights of 1, and to it DR of any strength is the same."""
    table = make_table(n=20_000)
    place = table.column_names.index("target_probability_b")
    table = table.set_column(place, "target_probability_b", table["propensity"])
    found = evaluate_table(written(tmp_path, table), estimators=["clipped_ips", "dr_os"]).tuned
    assert members(found["b"]["click"]["clipped_ips(tuned)"]) == [ClippedIPS(np.inf)] * 2
    assert found["b"]["view"]["dr_os(tuned)"] != found["a"]["view"]["dr_os(tuned)"]


def test_halves_belong_to_users_and_not_to_batches():
    users = np.array([f"u{i}" for i in range(1000)], object)
    whole = halves(users)
    assert np.array_equal(np.concatenate([halves(users[:7]), halves(users[7:])]), whole)
    assert 430 < halves(np.arange(1000)).sum() < 570
    assert len(halves(users[:0])) == 0


def test_too_few_users_are_refused_with_the_reason(tmp_path, make_table):
    found = evaluate_table(written(tmp_path, make_table(n=30, users=1)), estimators=EVERY)
    rows = [e for e in found.estimates if e.estimator in NAMES]
    assert len(rows) == 2 * 2 * len(NAMES)
    for e in rows:
        assert np.isnan(e.value)
        assert "cannot be tuned on half of the users" in e.certificate.reason


def test_families_run_from_no_shrinkage_to_the_most():
    weight = np.array([0.5, 2.0, 50.0])
    for family in FAMILIES.values():
        shrunken = np.array([e.weights(weight) for e in family])
        assert np.array_equal(shrunken[0], weight)
        assert (np.diff(shrunken, axis=0) <= 1e-12).all()


def test_without_predictions_the_others_say_what_they_need(tmp_path, make_table):
    names = [n for n in make_table(n=10).column_names if "hat" not in n]
    found = evaluate_table(written(tmp_path, make_table().select(names)), estimators=EVERY)
    reasons = {e.estimator: e.certificate.reason for e in found.estimates if not e.diagnostics}
    assert [*reasons] == ["dm", "dr", "sndr", "switch_dr(tuned)", "dr_os(tuned)", "dr_ps(tuned)"]
    assert reasons["dr_os(tuned)"] == "dr_os(tuned) needs the columns q_hat and v_hat"


def test_an_unknown_name_lists_the_known(tmp_path, make_table):
    with pytest.raises(ValueError, match=r"unknown estimators \['clip'\]; .* dr_os, dr_ps"):
        evaluate_table(written(tmp_path, make_table()), estimators=["ips", "clip"])


@pytest.mark.parametrize("world", [*WORLDS])
def test_the_default_lists_no_tuned_estimator(tmp_path, world):
    path = Path(tmp_path) / "log.parquet"
    pq.write_table(WORLDS[world](0)[0], path)
    assert {e.estimator for e in evaluate_table(path).estimates} == {*PLAIN}


@pytest.mark.statistics
def test_clipping_does_no_harm_where_weights_are_0_or_3():
    """All of 60 logs; a rule that clips there was further from the truth in 99 % of them."""
    found = compare("weights 0 or 3", ["clipped_ips"], 60)["clipped_ips"]
    assert found.further <= FURTHER
    assert found.median <= found.untuned_median + 1e-9


@pytest.mark.statistics
def test_clipping_is_seldom_further_from_the_truth_in_heavy_tails():
    """The share is 0.34: 60 logs exceed 0.57 less than once in a thousand times."""
    assert compare("heavy tails", ["clipped_ips"], 60)["clipped_ips"].further <= FURTHER
