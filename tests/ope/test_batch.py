from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from mrlm.ope import EvaluationBatch
from mrlm.ope import batch as batch_module


def broken(batch, name, place, value):
    array = np.array(getattr(batch, name))
    array[place] = value
    return {name: array}


@pytest.mark.parametrize(
    ("name", "place", "value", "match"),
    [
        ("propensity", 3, 0.0, r"row 3: the propensity must be in \(0, 1\]"),
        ("propensity", 3, 1.1, "row 3: the propensity"),
        ("propensity", 3, np.nan, "row 3: the propensity"),
        ("shown", 2, 10_000, "row 2: shown is not a candidate"),
        ("target", 0, -0.1, "row 0: a target probability is negative"),
        ("target", 0, np.nan, "row 0: a target probability"),
        ("target", 0, 5.0, "row 0: the target probabilities do not sum to 1"),
        ("rewards", (4, 1), np.inf, "row 4: a reward is infinite"),
        ("q", (0, 1), np.nan, "row 0: a predicted reward q is not finite"),
    ],
)
def test_bad_values_name_their_row(make_batch, name, place, value, match):
    batch = make_batch()
    with pytest.raises(ValueError, match=match):
        replace(batch, **broken(batch, name, place, value))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"objectives": ("a",)}, "one column an objective"),
        ({"objectives": ("a", "a")}, "must differ"),
        ({"cluster": np.zeros(3, int)}, "cluster must have shape"),
        ({"cluster": np.zeros(60)}, "integers or strings"),
        ({"q": np.zeros((3, 2))}, "q must have shape"),
        ({"offsets": np.array([0, 1])}, "offsets must be"),
    ],
)
def test_bad_shapes(make_batch, change, match):
    with pytest.raises(ValueError, match=match):
        replace(make_batch(), **change)


def test_empty_batches_and_sets_are_refused(make_batch):
    batch = make_batch()
    with pytest.raises(ValueError, match="at least one decision"):
        batch.take(np.array([], np.int64))
    offsets = batch.offsets.copy()
    offsets[5] = offsets[6]
    with pytest.raises(ValueError, match="row 5: the candidate set is empty"):
        replace(batch, offsets=offsets)


def test_sums_over_candidates_do_not_depend_on_the_piece(make_batch, monkeypatch):
    one, two = make_batch(n=200), make_batch(n=200)
    monkeypatch.setattr(batch_module, "CANDIDATES_AT_ONCE", 7)
    small = two.direct
    monkeypatch.undo()
    assert small == pytest.approx(one.direct, abs=1e-14)


def test_import_is_light():
    code = (
        "import sys, mrlm.ope; "
        "bad = {'torch','pandas','pydantic','scipy.stats','sklearn','mlflow'} & set(sys.modules); "
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_from_log_leaves_out_rewards_that_are_not_final(make_batch):
    batch = make_batch(n=6, missing=0.0)
    decisions = SimpleNamespace(user=batch.cluster, offsets=batch.offsets)
    final = np.ones((6, 2), bool)
    final[3, 1] = False
    log = SimpleNamespace(
        decisions=decisions,
        shown=batch.shown,
        propensity=batch.propensity,
        candidate_propensity=batch.candidate_propensity,
        rewards=batch.rewards,
        final=final,
        objectives=[SimpleNamespace(name="o0"), SimpleNamespace(name="o1")],
    )
    found = EvaluationBatch.from_log(log, batch.target, batch.q)
    assert np.array_equal(found.used, final)
    assert found.objectives == ("o0", "o1")
    assert np.array_equal(found.weight, batch.weight)


def test_candidate_sets_of_one_length_give_the_same_sums(make_batch):
    batch = make_batch(n=50, largest=1)
    n, k = 40, 5
    g = np.random.default_rng(0)
    target, q = g.dirichlet(np.ones(k), n), g.normal(size=(n, k, 2))
    same = replace(
        batch,
        cluster=batch.cluster[:n],
        offsets=np.arange(n + 1) * k,
        target=target.ravel(),
        shown=np.arange(n) * k,
        propensity=np.ones(n),
        rewards=batch.rewards[:n],
        q=q.reshape(-1, 2),
        candidate_propensity=None,
        features=None,
    )
    assert same.direct == pytest.approx((target[:, :, None] * q).sum(1), abs=1e-14)


def test_expected_square_is_that_of_the_loggers_choice(make_batch):
    batch = make_batch()
    logged, target = batch.candidate_propensity, batch.target
    found = batch.expected_square
    for i in (0, 7, 59):
        own = slice(batch.offsets[i], batch.offsets[i + 1])
        assert found[i] == pytest.approx((logged[own] * (target[own] / logged[own]) ** 2).sum())
    holes = logged.copy()
    holes[batch.offsets[7]] = np.nan
    assert np.flatnonzero(np.isnan(replace(batch, candidate_propensity=holes).expected_square)) == 7
    never = logged.copy()
    never[batch.offsets[7]] = 0.0
    assert np.isfinite(replace(batch, candidate_propensity=never).expected_square).all()
    assert np.isnan(replace(batch, candidate_propensity=None).expected_square).all()


def test_features_travel_with_their_candidates(make_batch):
    batch = make_batch(n=20)
    index = np.array([7, 3, 3])
    part = batch.take(index)
    for i, row in enumerate(index):
        mine = slice(part.offsets[i], part.offsets[i + 1])
        its = slice(batch.offsets[row], batch.offsets[row + 1])
        assert np.array_equal(part.features[mine], batch.features[its])
        expected = batch.target[its] @ batch.features[its]
        assert part.expected_features[i] == pytest.approx(expected, abs=1e-12)
    assert replace(batch, features=None).take(index).features is None


def test_features_are_checked(make_batch):
    batch = make_batch(n=20)
    with pytest.raises(ValueError, match="features must have shape"):
        replace(batch, features=batch.features[1:])
    bad = batch.features.copy()
    bad[batch.offsets[4], 1] = np.nan
    with pytest.raises(ValueError, match="row 4: a feature is not finite"):
        replace(batch, features=bad)
    with pytest.raises(ValueError, match="needs features"):
        _ = replace(batch, features=None).expected_features
