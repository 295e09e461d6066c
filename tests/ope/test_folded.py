from __future__ import annotations

from dataclasses import replace
from functools import reduce

import numpy as np
import pytest

from mrlm.ope import ESTIMATORS, EvaluationState, difference, estimates
from mrlm.ope.intervals.folded_estimates import folded_estimates
from mrlm.ope.state.folded import FoldedState

NUMBERS = ("value", "standard_error", "degrees_of_freedom", "skewness", "lower", "upper")


def same(expected, found):
    assert expected.keys() == found.keys()
    for name, e in expected.items():
        f = found[name]
        for field in NUMBERS:
            assert getattr(f, field) == pytest.approx(getattr(e, field), rel=1e-9, abs=1e-12), field
        assert f.certificate == e.certificate
        for a, b in zip(e.diagnostics, f.diagnostics, strict=True):
            one, two = ({k: v for k, v in d.to_json().items() if v is not None} for d in (a, b))
            assert (a.policy, a.objective) == (b.policy, b.objective)
            assert two.keys() == one.keys()
            assert [*two.values()][2:] == pytest.approx([*one.values()][2:], rel=1e-9, abs=1e-12)


def scores(batch, name, paired):
    estimator = ESTIMATORS[name]
    if not paired:
        return estimator(batch)
    lengths = np.diff(batch.offsets)
    uniform = batch.with_target(np.repeat(1 / lengths, lengths), "uniform")
    return difference(estimator(batch), estimator(uniform))


def by_user_shards(batch, shards):
    place = np.unique(batch.cluster, return_inverse=True)[1]
    return [batch.take(np.flatnonzero(place % shards == s)) for s in range(shards)]


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("paired", [False, True])
def test_folded_shards_of_users_give_the_same(name, paired, make_batch):
    batch = make_batch(n=900, users=150, m=3)
    whole = EvaluationState.of(scores(batch, name, paired))
    parts = [
        FoldedState.of(EvaluationState.of(scores(b, name, paired)))
        for b in by_user_shards(batch, 20)
    ]
    same(estimates(whole), folded_estimates(FoldedState.of(whole)))
    same(estimates(whole), folded_estimates(reduce(FoldedState.merge, parts)))
    same(estimates(whole), folded_estimates(reduce(FoldedState.merge, reversed(parts))))


def test_nothing_cancels_when_rewards_hardly_vary(make_batch):
    """Rewards of 1000 with a spread of 1: raw fourth moments would lose twelve digits."""
    batch = make_batch(n=2000, users=300, missing=0.0)
    batch = replace(batch, rewards=batch.rewards + 1000.0)
    whole = EvaluationState.of(ESTIMATORS["snips"](batch))
    parts = [
        FoldedState.of(EvaluationState.of(ESTIMATORS["snips"](b)))
        for b in by_user_shards(batch, 30)
    ]
    same(estimates(whole), folded_estimates(reduce(FoldedState.merge, parts)))


def test_subtract_takes_whole_users_out(make_batch):
    batch = make_batch(n=600, users=90)
    first, *rest = by_user_shards(batch, 3)
    folds = [FoldedState.of(EvaluationState.of(ESTIMATORS["dr"](b))) for b in (first, *rest)]
    left = reduce(FoldedState.merge, folds).subtract(folds[0])
    expected = folded_estimates(folds[1].merge(folds[2]))
    found = folded_estimates(left)
    for name, e in expected.items():
        for field in NUMBERS:
            assert getattr(found[name], field) == pytest.approx(getattr(e, field), rel=1e-9)
    with pytest.raises(ValueError, match="than were folded"):
        folds[0].subtract(reduce(FoldedState.merge, folds))


def test_memory_does_not_grow_with_users(make_batch):
    def size(batch):
        folded = FoldedState.of(EvaluationState.of(ESTIMATORS["dr"](batch)))
        return sum(a.nbytes for a in vars(folded).values() if isinstance(a, np.ndarray))

    assert size(make_batch(n=50, users=5)) == size(make_batch(n=2000, users=900))


def test_other_estimates_are_refused(make_batch):
    batch = make_batch()
    one, two = (FoldedState.of(EvaluationState.of(ESTIMATORS[n](batch))) for n in ("dr", "ips"))
    with pytest.raises(ValueError, match="estimator"):
        one.merge(two)
