from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from mrlm.behaviour.features.pair_features import PairFeatures
from mrlm.behaviour.fitting.training import train_network
from mrlm.behaviour.networks.head_loss import head_loss
from mrlm.behaviour.networks.network import (
    PairTensors,
    evaluate,
    network_from_state,
    seeded_network,
)
from mrlm.behaviour.settings import BehaviourSettings

SETTINGS = BehaviourSettings(hidden=8, projection=4, epochs=30, batch_size=32, dropout=0.0)
BINARY = np.array([True, False])


def pairs(n: int = 256, seed: int = 0) -> tuple[PairFeatures, np.ndarray]:
    """A like that follows the product of user and item vector, and a value that adds up."""
    rng = np.random.default_rng(seed)
    items, users = rng.normal(size=(20, 3)), rng.normal(size=(n, 3))
    item, dense = rng.integers(0, 20, n), rng.normal(size=(n, 2))
    value = dense.sum(axis=1) + 0.1 * rng.normal(size=n)
    like = ((items[item] * users).sum(axis=1) + dense[:, 0] > 0).astype(float)
    features = PairFeatures(
        dense=dense.astype(np.float32),
        item=item.astype(np.int64),
        row=np.arange(n),
        item_vectors=items.astype(np.float32),
        user_vectors=users.astype(np.float32),
    )
    return features, np.stack([like, value], axis=1)


def test_loss_is_the_reference_and_finite_far_out() -> None:
    outputs = torch.tensor([[50.0, 1.0], [-50.0, -2.0], [3.0, 0.5]], requires_grad=True)
    wanted = torch.tensor([[0.0, 1.5], [1.0, 2.0], [1.0, 0.0]])
    known = torch.tensor([[1.0, 1.0], [1.0, 1.0], [1.0, 0.0]])
    loss = head_loss(outputs, wanted, known, torch.from_numpy(BINARY))
    reference = functional.binary_cross_entropy_with_logits(
        outputs[:, 0], wanted[:, 0]
    ) + functional.huber_loss(outputs[:2, 1], wanted[:2, 1])
    assert torch.isfinite(loss)
    torch.testing.assert_close(loss, reference)
    loss.backward()
    assert outputs.grad is not None
    assert outputs.grad[0, 0] > 0 > outputs.grad[1, 0], "down where the label is 0, up where 1"
    assert outputs.grad[2, 1] == 0, "unknown rewards teach nothing"


def test_a_batch_holds_shared_vectors_once_and_its_rows_in_order() -> None:
    features, _ = pairs()
    index = torch.from_numpy(np.random.default_rng(1).integers(0, 256, 500))
    batch = PairTensors(features).batch(index)
    np.testing.assert_array_equal(batch.dense, features.dense[index])
    np.testing.assert_array_equal(
        batch.items[batch.item], features.item_vectors[features.item[index]]
    )
    np.testing.assert_array_equal(
        batch.users[batch.user], features.user_vectors[features.row[index]]
    )
    assert len(batch.items) == len(np.unique(features.item[index])) < len(batch.item)
    assert len(batch.users) == len(np.unique(index)) < len(batch.user)


def test_every_parameter_has_a_gradient_and_one_step_changes_it() -> None:
    features, targets = pairs()
    network = seeded_network(
        0, dense=2, vector=3, user_vector=3, projection=4, hidden=8, outputs=2, dropout=0.0
    )
    before = {n: p.detach().clone() for n, p in network.named_parameters()}
    index = torch.arange(64)
    wanted = torch.from_numpy(targets[:64].astype(np.float32))
    loss = head_loss(
        network(PairTensors(features).batch(index)),
        wanted,
        torch.ones(64, 2),
        torch.from_numpy(BINARY),
    )
    loss.backward()
    torch.optim.SGD(network.parameters(), lr=0.1).step()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
        assert not torch.equal(before[name], parameter), name


def test_it_learns_both_heads() -> None:
    features, targets = pairs(1500)
    network = train_network(features, targets, BINARY, np.arange(1200), SETTINGS, seed=0)
    held, outputs = np.arange(1200, 1500), evaluate(network, features, 2)
    accuracy = ((outputs[held, 0] > 0) == (targets[held, 0] == 1)).mean()
    assert accuracy > 0.75
    assert np.corrcoef(outputs[held, 1], targets[held, 1])[0, 1] > 0.9


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_seed_decides_the_weights_to_the_bit(dropout: float) -> None:
    features, targets = pairs()
    settings = SETTINGS.model_copy(update={"epochs": 2, "dropout": dropout})

    def weights(seed: int) -> list[torch.Tensor]:
        torch.rand(seed + 1)  # The global generator must not matter.
        network = train_network(features, targets, BINARY, np.arange(200), settings, seed)
        return list(network.state_dict().values())

    state = torch.random.get_rng_state()
    first = weights(5)
    assert all(torch.equal(a, b) for a, b in zip(first, weights(5), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, weights(6), strict=True))
    torch.random.set_rng_state(state)


def test_training_leaves_the_global_generator_and_threads_alone() -> None:
    features, targets = pairs()
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    train_network(
        features, targets, BINARY, np.arange(64), SETTINGS.model_copy(update={"epochs": 1}), 0
    )
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.get_num_threads() == threads


def test_rows_that_are_left_out_change_nothing() -> None:
    features, targets = pairs()
    settings = SETTINGS.model_copy(update={"epochs": 1})
    changed = targets.copy()
    changed[200:] = 1.0
    first = train_network(features, targets, BINARY, np.arange(200), settings, 0)
    second = train_network(features, changed, BINARY, np.arange(200), settings, 0)
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_network_is_rebuilt_from_its_state_without_dropout() -> None:
    features, _ = pairs()
    network = seeded_network(
        0, dense=2, vector=3, user_vector=3, projection=4, hidden=8, outputs=2, dropout=0.5
    )
    network.standardise_on(features.dense)
    again = network_from_state(network.state_dict())
    np.testing.assert_array_equal(evaluate(again, features, 2), evaluate(network, features, 2))
    assert not again.training
