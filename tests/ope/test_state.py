from __future__ import annotations

from dataclasses import replace
from functools import reduce

import numpy as np
import pytest

from mrlm.ope import ESTIMATORS, EvaluationState, difference, estimates

NUMBERS = ("value", "standard_error", "lower", "upper", "degrees_of_freedom", "rows", "users")


def states(batch, name="dr"):
    return EvaluationState.of(ESTIMATORS[name](batch))


def same(first, second, tolerance=1e-9):
    one, two = estimates(first), estimates(second)
    assert one.keys() == two.keys()
    for name in one:
        for field in NUMBERS:
            a, b = getattr(one[name], field), getattr(two[name], field)
            assert a == pytest.approx(b, abs=tolerance, rel=tolerance), field
        for a, b in zip(one[name].diagnostics, two[name].diagnostics, strict=True):
            assert (a.policy, a.objective) == (b.policy, b.objective)
            first_numbers, second_numbers = (
                {n: x for n, x in found.to_json().items() if isinstance(x, int | float)}
                for found in (a, b)
            )
            assert first_numbers == pytest.approx(second_numbers, rel=tolerance)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("names", [True, False])
def test_shuffled_shards_give_the_same(estimator, names, make_batch):
    batch = make_batch(n=500, users=40, names=names)
    order = np.random.default_rng(0).permutation(len(batch))
    shards = [states(batch.take(part), estimator) for part in np.array_split(order, 7)]
    whole = states(batch, estimator)
    same(whole, reduce(EvaluationState.merge, shards))
    same(whole, reduce(EvaluationState.merge, reversed(shards)))


def test_add_is_one_pass_over_batches(make_batch):
    batch = make_batch(n=300)
    state = states(batch.take(np.arange(100)))
    for part in np.array_split(np.arange(100, 300), 4):
        state = state.add(ESTIMATORS["dr"](batch.take(part)))
    same(states(batch), state)


def test_a_late_reward_is_a_correction(make_batch):
    batch = make_batch(n=200, missing=0.0)
    late = batch.rewards.copy()
    late[7] += 5.0
    corrected = replace(batch, rewards=late)
    one = np.array([7])
    state = states(batch).subtract(states(batch.take(one))).merge(states(corrected.take(one)))
    same(states(corrected), state)


def test_subtracting_everything_leaves_nothing(make_batch):
    batch = make_batch(n=100)
    state = states(batch)
    assert len(state.subtract(state).cluster) == 0


def test_subtract_drops_users_without_rows(make_batch):
    batch = make_batch(n=300, users=10)
    gone = batch.cluster == batch.cluster[0]
    rest = states(batch).subtract(states(batch.take(np.flatnonzero(gone))))
    kept = states(batch.take(np.flatnonzero(~gone)))
    assert rest.cluster.tolist() == kept.cluster.tolist()
    one, two = estimates(rest), estimates(kept)
    for name in one:
        assert one[name].standard_error == pytest.approx(two[name].standard_error, abs=1e-12)


def test_what_does_not_belong_is_refused(make_batch):
    batch = make_batch()
    with pytest.raises(ValueError, match="estimator"):
        states(batch, "dr").merge(states(batch, "ips"))
    with pytest.raises(ValueError, match="policies"):
        states(batch).merge(states(batch.with_target(batch.target, "other")))
    few = batch.take(np.arange(10))
    with pytest.raises(ValueError, match=r"never added|more rounds"):
        states(few).subtract(states(batch))


def test_paired_difference(make_batch):
    batch = make_batch(n=400, users=50)
    g = np.random.default_rng(3)
    raw = batch.target * np.exp(0.1 * g.normal(size=len(batch.target)))
    near = raw / np.repeat(np.add.reduceat(raw, batch.offsets[:-1]), np.diff(batch.offsets))
    other = batch.with_target(near, "near")
    for name, estimator in ESTIMATORS.items():
        a, b = estimator(batch), estimator(other)
        paired = estimates(EvaluationState.of(difference(a, b)))
        first, second = estimates(EvaluationState.of(a)), estimates(EvaluationState.of(b))
        for o, e in paired.items():
            assert e.policy == "policy - near"
            assert e.value == pytest.approx(first[o].value - second[o].value, abs=1e-12)
            assert e.standard_error < 0.5 * first[o].standard_error, name


def test_difference_to_itself_is_exactly_zero(make_batch):
    scores = ESTIMATORS["snips"](make_batch())
    for e in estimates(EvaluationState.of(difference(scores, scores))).values():
        assert (e.value, e.lower, e.upper) == (0.0, 0.0, 0.0)


def test_merged_difference_is_the_difference_of_all(make_batch):
    batch = make_batch(n=300)
    lengths = np.diff(batch.offsets)
    other = batch.with_target(np.repeat(1 / lengths, lengths), "uniform")
    pieces = []
    for part in np.array_split(np.random.default_rng(2).permutation(300), 5):
        snips = ESTIMATORS["snips"]
        pieces.append(
            EvaluationState.of(difference(snips(batch.take(part)), snips(other.take(part))))
        )
    snips = ESTIMATORS["snips"]
    whole = EvaluationState.of(difference(snips(batch), snips(other)))
    same(whole, reduce(EvaluationState.merge, pieces))


def test_difference_needs_the_same_rounds(make_batch):
    batch = make_batch()
    ips = ESTIMATORS["ips"]
    with pytest.raises(ValueError, match="same rounds"):
        difference(ips(batch), ips(batch.take(np.arange(len(batch) - 1))))
    known = replace(batch, rewards=np.nan_to_num(batch.rewards))
    with pytest.raises(ValueError, match="same rounds"):
        difference(ips(batch), ips(known))
