"""Updates per processor second of the peers' discrete CQL: run by the peers' own Python.

``python library_updates.py FILE.npz`` prints them by peer as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

_WARM = 20


def rates(found: Any) -> dict[str, float]:
    """Both peers on the arrays of the file, one thread."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(1)
    return {"d3rlpy": _rate(_d3rlpy(found), found), "TorchRL": _rate(_torchrl(found), found)}


def _rate(update: Callable[[], None], found: Any) -> float:
    for _ in range(_WARM):
        update()
    start, count = time.process_time(), int(found["updates"])
    for _ in range(count):
        update()
    return count / (time.process_time() - start)


def _d3rlpy(found: Any) -> Callable[[], None]:
    import d3rlpy

    hidden, batch = int(found["hidden"]), int(found["batch_size"])
    data = d3rlpy.dataset.MDPDataset(
        observations=found["state"],
        actions=found["action"],
        rewards=found["reward"],
        terminals=found["ended"].astype(np.float32),
    )
    learner = d3rlpy.algos.DiscreteCQLConfig(
        batch_size=batch,
        learning_rate=float(found["learning_rate"]),
        gamma=float(found["discount"]),
        alpha=float(found["conservative"]),
        target_update_interval=int(found["target_every"]),
        encoder_factory=d3rlpy.models.VectorEncoderFactory([hidden, hidden]),
    ).create(device="cpu:0")
    learner.build_with_dataset(data)
    return lambda: learner.update(data.sample_transition_batch(batch))


def _torchrl(found: Any) -> Callable[[], None]:
    import torch
    from tensordict import TensorDict
    from torch import nn
    from torchrl.modules import QValueActor
    from torchrl.objectives import DiscreteCQLLoss, HardUpdate, ValueEstimators

    hidden, actions = int(found["hidden"]), int(found["actions"])
    state = torch.from_numpy(found["state"])
    network = nn.Sequential(
        nn.Linear(state.shape[1], hidden),
        nn.SiLU(),
        nn.Linear(hidden, hidden),
        nn.SiLU(),
        nn.Linear(hidden, actions),
    )
    actor = QValueActor(network, in_keys=["observation"], action_space="one-hot")
    loss = DiscreteCQLLoss(actor, action_space="one-hot", delay_value=True)
    loss.make_value_estimator(ValueEstimators.TD0, gamma=float(found["discount"]))
    target = HardUpdate(loss, value_network_update_interval=int(found["target_every"]))
    optimiser = torch.optim.AdamW(loss.parameters(), lr=float(found["learning_rate"]))
    taken = torch.eye(actions)[torch.from_numpy(found["action"])]
    reward = torch.from_numpy(found["reward"])[:, None]
    ended = torch.from_numpy(found["ended"])[:, None]
    batch, n = int(found["batch_size"]), len(state)
    after = state[(torch.arange(n) + 1) % n]

    def update() -> None:
        index = torch.randint(n, (batch,))
        following = TensorDict(
            {
                "observation": after[index],
                "reward": reward[index],
                "done": ended[index],
                "terminated": ended[index],
            },
            batch,
        )
        rows = TensorDict(
            {"observation": state[index], "action": taken[index], "next": following}, batch
        )
        parts = loss(rows)
        optimiser.zero_grad()
        (parts["loss_qvalue"] + float(found["conservative"]) * parts["loss_cql"]).backward()
        optimiser.step()
        target.step()

    return update


if __name__ == "__main__":
    print(json.dumps(rates(np.load(sys.argv[1]))))
