from __future__ import annotations

from functools import reduce

import numpy as np
import pytest

from mrlm.ope import ESTIMATORS, EvaluationState, estimates
from mrlm.ope.intervals.stream import StreamState

FIELDS = ("value", "standard_error", "degrees_of_freedom", "skewness", "lower", "upper")


def same(expected, found):
    for name, e in expected.items():
        for field in FIELDS:
            assert getattr(found[name], field) == pytest.approx(getattr(e, field), rel=1e-9)
        assert found[name].certificate == e.certificate
        assert (found[name].rows, found[name].users) == (e.rows, e.users)


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("names", [True, False])
def test_scattered_sorted_and_partitioned_logs_give_the_same(name, names, make_batch):
    batch = make_batch(n=700, users=90, names=names)
    ordered = batch.take(np.argsort(batch.cluster, kind="stable"))
    estimator = ESTIMATORS[name]
    expected = estimates(EvaluationState.of(estimator(batch)))

    scattered, rising, parted = StreamState(), StreamState(), StreamState()
    for piece in np.array_split(np.arange(len(batch)), 11):
        scattered = scattered.add(estimator(batch.take(piece)))
        rising = rising.add(estimator(ordered.take(piece)), "sorted")
        assert len(rising.open.cluster) == 1
    place = np.unique(batch.cluster, return_inverse=True)[1]
    for part in range(4):
        for piece in np.array_split(np.flatnonzero(place % 4 == part), 3):
            parted = parted.add(estimator(batch.take(piece)))
        parted = parted.fold()
        assert parted.open is None
    for state in (scattered, rising, parted):
        same(expected, state.estimates())


def test_shards_merge(make_batch):
    batch = make_batch(n=300)
    order = np.random.default_rng(0).permutation(300)
    shards = [
        StreamState().add(ESTIMATORS["dr"](batch.take(part))) for part in np.array_split(order, 5)
    ]
    expected = estimates(EvaluationState.of(ESTIMATORS["dr"](batch)))
    same(expected, reduce(StreamState.merge, shards).estimates())


def test_users_out_of_order_are_refused(make_batch):
    batch = make_batch()
    ordered = batch.take(np.argsort(batch.cluster, kind="stable"))
    ips = ESTIMATORS["ips"]
    with pytest.raises(ValueError, match="sort by user"):
        StreamState().add(ips(batch), "sorted")
    state = StreamState().add(ips(ordered.take(np.arange(40, 60))), "sorted")
    with pytest.raises(ValueError, match="sort by user"):
        state.add(ips(ordered.take(np.arange(40))), "sorted")


def test_nothing_to_estimate_from():
    with pytest.raises(ValueError, match="no round was added"):
        StreamState().estimates()
