"""An exported policy gives, in another runtime, the probabilities of the policy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mrlm.bandit_log import BanditLog
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.networks.scene_heads import SceneHeads
from mrlm.onnx_export.feeds import decision_inputs
from mrlm.onnx_export.policy_graph import scenes_of, write_onnx
from mrlm.onnx_export.runtime import onnx_probabilities
from mrlm.policies.tuned import Tuned
from mrlm.policies.uniform import Uniform
from tests.onnx_export.conftest import tuned

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("scene", ["home", "another"])
def test_a_runtime_gives_the_same_probabilities(
    policy: Tuned, fit_log: BanditLog, tmp_path: Path, scene: str
) -> None:
    path = tmp_path / "policy.onnx"
    names = write_onnx(policy, path, scene)
    log = fit_log.take(np.arange(700, 720))
    scenes = np.full(20, scene, object)
    decisions = replace(log.decisions, scene=scenes, position=np.arange(20, dtype=np.int32) % 4 + 1)
    found = onnx_probabilities(policy, path, decisions)
    expected = np.exp(policy.log_probabilities(decisions))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert expected.std() > 0.02, "there is something to get wrong"
    assert set(names) == set(decision_inputs(policy, decisions.take(np.array([0]))))
    assert scenes_of(policy) == {"home"}


def test_a_model_that_only_a_learned_score_reads(
    policy: Tuned, fit_log: BanditLog, tmp_path: Path
) -> None:
    """What has no weight is not stored: of a champion's model its uncertainty may be gone."""
    _, learned, _ = policy.scorers
    champion = tuned(fit_log.take(np.arange(600)), policy.anchor, (learned,), 3)
    path, decisions = tmp_path / "policy.onnx", fit_log.decisions.take(np.arange(700, 710))
    names = write_onnx(champion, path, "home")
    assert "model_0.dense" in names
    assert "model_0.uncertainty" not in names
    fed = replace(decisions, scene=np.full(10, "home", object))
    expected = np.exp(champion.log_probabilities(fed))
    found = onnx_probabilities(champion, path, fed)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_what_has_no_graph_is_refused(policy: Tuned, fit_log: BanditLog, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="export a tuned policy"):
        write_onnx(Uniform(), tmp_path / "policy.onnx", "home")
    model = policy.scorers[0]
    assert isinstance(model, RewardModel)
    heads = SceneHeads(np.array(["home"]), np.zeros((1, 2, 16, 2)), np.zeros((1, 2, 2)))
    with_layers = replace(policy, scorers=(replace(model, scenes=heads), *policy.scorers[1:]))
    with pytest.raises(ValueError, match=r"behaviour\.scene_heads"):
        write_onnx(with_layers, tmp_path / "policy.onnx", "home")
    by_history = replace(policy, segments="history")
    with pytest.raises(ValueError, match="users' history"):
        write_onnx(by_history, tmp_path / "policy.onnx", "home")
    with pytest.raises(ValueError, match="one decision at a time"):
        decision_inputs(policy, fit_log.decisions)
