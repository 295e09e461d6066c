"""Checkpoints of a training: one file each, written whole, from which it goes on exactly."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

_FILE = "training.safetensors"


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one training in a folder; the newest replaces the one before.

    Attributes:
        folder: is made where it is not there.
        key: what the training depends on; a checkpoint of another one is not used.
    """

    folder: Path
    key: str

    def save(
        self,
        trained: dict[str, nn.Parameter],
        optimiser: torch.optim.Optimizer,
        curve: list[float],
    ) -> None:
        """Write weights, moments and the losses so far; a kill leaves the old file or the new."""
        tensors = {f"weight.{name}": p.detach().contiguous() for name, p in trained.items()}
        for name, parameter in trained.items():
            for moment, value in optimiser.state.get(parameter, {}).items():
                tensors[f"{moment}.{name}"] = value.detach().contiguous()
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f"{_FILE}.{os.getpid()}"
        save_file(tensors, draft, {"key": self.key, "curve": json.dumps(curve)})
        draft.replace(self.folder / _FILE)

    def restore(
        self, trained: dict[str, nn.Parameter], optimiser: torch.optim.Optimizer
    ) -> list[float]:
        """Put weights and moments back; the losses until then, empty where there is nothing."""
        path = self.folder / _FILE
        if not path.is_file():
            return []
        with safe_open(path, "pt") as file:
            about = file.metadata()
            if about["key"] != self.key:
                return []
            names = set(file.keys())
            for name, parameter in trained.items():
                with torch.no_grad():
                    parameter.copy_(file.get_tensor(f"weight.{name}"))
                for moment in ("step", "exp_avg", "exp_avg_sq"):
                    if f"{moment}.{name}" in names:
                        value = file.get_tensor(f"{moment}.{name}")
                        where = "cpu" if moment == "step" else parameter.device
                        optimiser.state[parameter][moment] = value.to(where)
        found: list[float] = json.loads(about["curve"])
        return found
