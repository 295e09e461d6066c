"""TorchRL's discrete IQL on transitions in a file: run by the peers' own Python.

``python torchrl_iql.py FILE.npz`` prints the actor's logits of every state and action as JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np


def scores(found: Any) -> list[list[float]]:
    """Logits, shape (states, actions), after the settings and transitions of the file.

    Its loss knows no candidate sets: every state has all actions, and those that were never offered
    are left out by whoever reads the logits.
    """
    import torch
    from tensordict import TensorDict
    from tensordict.nn import TensorDictModule
    from torch import nn
    from torchrl.modules import OneHotCategorical, ProbabilisticActor
    from torchrl.objectives import DiscreteIQLLoss, HardUpdate, ValueEstimators

    torch.set_num_threads(1)
    torch.manual_seed(1)
    states, actions = int(found["states"]), int(found["actions"])
    n = len(found["state"])

    def network(outputs: int) -> nn.Module:
        hidden = int(found["hidden"])
        return nn.Sequential(
            nn.Linear(states, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, outputs),
        )

    logits, values = network(actions), network(actions)
    loss = DiscreteIQLLoss(
        ProbabilisticActor(
            TensorDictModule(logits, in_keys=["observation"], out_keys=["logits"]),
            in_keys=["logits"],
            distribution_class=OneHotCategorical,
        ),
        TensorDictModule(values, in_keys=["observation"], out_keys=["state_action_value"]),
        value_network=TensorDictModule(
            network(1), in_keys=["observation"], out_keys=["state_value"]
        ),
        action_space="one-hot",
        num_qvalue_nets=2,
        loss_function="l2",
        temperature=1.0 / float(found["temperature"]),
        expectile=float(found["expectile"]),
    )
    loss.make_value_estimator(ValueEstimators.TD0, gamma=float(found["discount"]))
    target = HardUpdate(loss, value_network_update_interval=int(found["target_every"]))
    first = torch.eye(states)[torch.from_numpy(found["state"])]
    after = torch.eye(states)[torch.from_numpy(found["next_state"])]
    taken = torch.eye(actions)[torch.from_numpy(found["action"])]
    reward = torch.from_numpy(found["reward"].astype(np.float32))[:, None]
    ended = torch.from_numpy(found["ended"])[:, None]
    batch, epochs = int(found["batch_size"]), int(found["epochs"])
    optimiser = torch.optim.AdamW(
        loss.parameters(), lr=float(found["learning_rate"]), weight_decay=0.0
    )
    updates = epochs * -(-n // batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda done: 1.0 - done / updates)
    for _ in range(epochs):
        for index in torch.randperm(n).split(batch):
            following = TensorDict(
                {
                    "observation": after[index],
                    "reward": reward[index],
                    "done": ended[index],
                    "terminated": ended[index],
                },
                len(index),
            )
            rows = TensorDict(
                {"observation": first[index], "action": taken[index], "next": following}, len(index)
            )
            parts = loss(rows)
            optimiser.zero_grad()
            (parts["loss_actor"] + parts["loss_qvalue"] + parts["loss_value"]).backward()
            optimiser.step()
            schedule.step()
            target.step()
    with torch.no_grad():
        out: list[list[float]] = logits(torch.eye(states)).tolist()
    return out


if __name__ == "__main__":
    print(json.dumps(scores(np.load(sys.argv[1]))))
