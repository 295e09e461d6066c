from __future__ import annotations

import math
import re

import numpy as np
import pyarrow as pa
import pytest

from mrlm.ope import EvaluationState, estimates
from mrlm.ope.estimators.clipped_ips import ClippedIPS
from mrlm.ope.estimators.dr_shrinkage import DROptimistic, DRPessimistic
from mrlm.ope.estimators.switch_dr import SwitchDR
from mrlm.ope.table import evaluate_table, files
from mrlm.ope.table.columns import Columns
from mrlm.ope.table.to_logged import to_logged
from mrlm.ope.table.tuned import families, tunes
from tests.ope.table.tables import written

KINDS = {"clipped_ips": ClippedIPS, "dr_os": DROptimistic, "dr_ps": DRPessimistic}
KINDS["switch_dr"] = SwitchDR
NAMES = {f"{k}(tuned)" for k in KINDS}


def by_key(found):
    return {(e.policy, e.objective, e.estimator): e for e in (*found.estimates, *found.differences)}


def with_rewards(table, users, change):
    """The table with ``change`` of the rewards of some users."""
    for name in ("reward_click", "reward_view"):
        values = table[name].to_numpy().copy()
        values[users] = change(values[users])
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    return table


def member(text):
    kind, value = re.fullmatch(r"(\w+)\(\w+=(.*)\)", text).groups()
    return KINDS[kind](float(value))


def test_the_values_are_those_of_the_chosen_members_on_the_other_half(
    tmp_path, make_table, monkeypatch
):
    table = make_table()
    columns = Columns.of(table.column_names)
    plain = by_key(evaluate_table(written(tmp_path, table)))
    monkeypatch.setattr(files, "ROWS_AT_ONCE", 701)
    found = evaluate_table(written(tmp_path, table), tuned=True)
    mine = by_key(found)
    assert {e.estimator for e in found.estimates} == {"ips", "snips", "dm", "dr", "sndr"} | NAMES
    for key, e in plain.items():
        assert mine[key].value == pytest.approx(e.value, rel=1e-9)
    for rounds in to_logged(table.to_batches()[0], columns):
        judged = rounds.take(~tunes(rounds.cluster))
        for objective in columns.objectives:
            for name, chosen in found.tuned[rounds.policy][objective].items():
                state = EvaluationState.of(member(chosen)(judged))
                e = estimates(state)[objective]
                assert mine[rounds.policy, objective, name].value == pytest.approx(e.value)
                assert mine[rounds.policy, objective, name].rows == e.rows < 3000
    assert found.selected == {"click": "dr", "view": "dr"}
    for e in (*found.estimates, *found.differences):
        if e.estimator in NAMES:
            assert not e.certified
            assert "covers its own target" in e.certificate.reason


def test_parameters_never_see_the_rewards_that_they_are_judged_on(tmp_path, make_table):
    table = make_table()
    users = tunes(np.array(table["user_id"].to_pylist(), object))
    assert 0.3 < users.mean() < 0.7
    known = evaluate_table(written(tmp_path, table), tuned=True).tuned
    judged = with_rewards(table, ~users, lambda r: 100 - 30 * r)
    assert evaluate_table(written(tmp_path, judged), tuned=True).tuned == known
    # That the rewards of the other half do matter: a reward that grows with the weight.
    steep = table.set_column(
        table.column_names.index("reward_click"),
        "reward_click",
        pa.array(1e4 * table["target_probability_a"].to_numpy() / table["propensity"].to_numpy()),
    )
    assert evaluate_table(written(tmp_path, steep), tuned=True).tuned != known


def test_each_policy_is_tuned_for_itself(tmp_path, make_table):
    """A policy that is the logger has weights of 1, and any clip is the same to it."""
    table = make_table(n=20_000)
    place = table.column_names.index("target_probability_b")
    table = table.set_column(place, "target_probability_b", table["propensity"])
    found = evaluate_table(written(tmp_path, table), tuned=True).tuned
    assert member(found["b"]["click"]["clipped_ips(tuned)"]).clip == 1.0
    assert member(found["a"]["click"]["clipped_ips(tuned)"]).clip > 1.0


def test_halves_belong_to_users_and_not_to_batches():
    users = np.array([f"u{i}" for i in range(1000)], object)
    whole = tunes(users)
    assert np.array_equal(np.concatenate([tunes(users[:7]), tunes(users[7:])]), whole)
    assert 430 < tunes(np.arange(1000)).sum() < 570
    assert len(tunes(users[:0])) == 0


def test_too_few_users_are_refused_with_the_reason(tmp_path, make_table):
    found = evaluate_table(written(tmp_path, make_table(n=30, users=1)), tuned=True)
    rows = [e for e in found.estimates if e.estimator in NAMES]
    assert len(rows) == 2 * 2 * len(NAMES)
    for e in rows:
        assert math.isnan(e.value)
        assert "tune" in e.certificate.reason or "judge" in e.certificate.reason


def test_families_run_from_no_shrinkage_to_the_most():
    weight = np.array([0.5, 2.0, 50.0])
    for family in families(with_q=True).values():
        shrunken = np.array([e.weights(weight) for e in family])
        assert np.array_equal(shrunken[0], weight)
        assert (np.diff(shrunken, axis=0) <= 1e-12).all()
    assert [*families(with_q=False)] == ["clipped_ips"]
