"""An exported policy as ONNX Runtime computes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions
from mrlm.onnx_export.feeds import decision_inputs
from mrlm.onnx_export.policy_graph import PROBABILITY
from mrlm.policies.contract import Policy


def onnx_probabilities(policy: Policy, path: Path, decisions: Decisions) -> NDArray[np.float64]:
    """Probabilities of all candidates by the file that ``write_onnx`` wrote, float64, shape (N,).

    Args:
        policy: as it was exported; it makes the inputs.
        path: of the file.
        decisions: answered one at a time, all of the scene that was exported.

    Raises:
        ModuleNotFoundError: ``onnxruntime`` is not installed.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = [np.zeros(0)]
    for i in range(len(decisions)):
        inputs = decision_inputs(policy, decisions.take(np.array([i])))
        found += session.run([PROBABILITY], inputs)
    return np.concatenate(found)
