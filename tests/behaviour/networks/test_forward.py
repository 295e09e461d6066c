from __future__ import annotations

import numpy as np
import pytest

from mrlm.behaviour.features.pair_features import PairFeatures
from mrlm.behaviour.features.served_features import ServedFeatures
from mrlm.behaviour.networks import forward as module
from mrlm.behaviour.networks.forward import PairForward
from mrlm.behaviour.networks.network import PairNetwork, evaluate, seeded_network

# Dense features of a pair, of a decision, of a candidate in its slot.
WIDTHS = (4, 3, 2)


def served(precision: type[np.floating], seed: int = 0) -> ServedFeatures:
    """40 candidates of 12 decisions of 5 states, 20 pairs of 9 items; columns in any order."""
    g = np.random.default_rng(seed)
    columns = np.split(g.permutation(sum(WIDTHS)), np.cumsum(WIDTHS)[:-1])
    sizes = (20, 12, 40)
    parts = [g.normal(size=(n, w)).astype(precision) for n, w in zip(sizes, WIDTHS, strict=True)]
    row = np.sort(g.integers(0, 12, 40))
    return ServedFeatures(
        *parts,
        *columns,
        # Decision d has state d % 5, and pair p too.
        pair=row % 5 + 5 * g.integers(0, 4, 40),
        row=row,
        item=g.integers(0, 9, 20),
        state=np.arange(20) % 5,
        of_decision=np.arange(12) % 5,
        item_vectors=g.normal(size=(9, 6)).astype(precision),
        user_vectors=g.normal(size=(5, 7)).astype(precision),
    )


def networks(dense: int, count: int) -> list[PairNetwork]:
    found = []
    for seed in range(count):
        network = seeded_network(
            seed, dense=dense, vector=6, user_vector=7, projection=4, hidden=8, outputs=2, dropout=0
        )
        network.standardise_on(np.random.default_rng(seed).normal(1, 2, (50, dense)))
        found.append(network)
    return found


@pytest.mark.parametrize(("precision", "atol"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_it_gives_what_the_networks_give(precision: type[np.floating], atol: float) -> None:
    features = served(precision)
    some = networks(sum(WIDTHS), 3)
    found = PairForward.of(some, precision).outputs(features)
    assert found.shape == (3, 40, 2)
    flat = PairFeatures.of(features)
    for network, outputs in zip(some, found, strict=True):
        np.testing.assert_allclose(outputs, evaluate(network, flat, 2), atol=atol)


def test_neither_pieces_nor_large_catalogues_change_anything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features = served(np.float64)
    forward = PairForward.of(networks(sum(WIDTHS), 2))
    whole = forward.outputs(features)
    monkeypatch.setattr(module, "_ROWS", 6)
    np.testing.assert_allclose(forward.outputs(features), whole, atol=1e-13)
    monkeypatch.setattr(module, "KEPT_ITEMS", 8)
    np.testing.assert_allclose(forward.outputs(features), whole, atol=1e-13)


def test_outputs_far_out_are_finite() -> None:
    network = networks(sum(WIDTHS), 1)[0]
    network.body[0].weight.data.mul_(1e4)
    features = served(np.float64)
    found = PairForward.of([network]).outputs(features)[0]
    np.testing.assert_allclose(found, evaluate(network, PairFeatures.of(features), 2), rtol=1e-9)


def test_more_columns_of_candidates_come_last() -> None:
    features = served(np.float64)
    more = np.random.default_rng(1).normal(size=(40, 2))
    both = features.with_columns(more).with_pair_columns(more[:20])
    assert both.width == features.width + 4
    np.testing.assert_array_equal(both.dense[:, :-4], features.dense)
    np.testing.assert_array_equal(both.dense[:, -4:-2], more)
    np.testing.assert_array_equal(both.dense[:, -2:], more[features.pair])
