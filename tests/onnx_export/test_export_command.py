"""The command writes a version's graph, checks it, and says what it needs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mrlm.bandit_log import BanditLog
from mrlm.onnx_export import runtime
from mrlm.policies.contract import Policy
from mrlm.policies.tuned import Tuned
from mrlm.policies.uniform import Uniform
from mrlm.promotion.registry import version_files
from mrlm.promotion.reproduction.reproduction import reproduction_rows, write_reproduction
from mrlm.promotion.serving.bundle import PolicyBundle, save_bundle
from pipelines.commands import exports
from pipelines.failures.errors import DataError

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fit_log: BanditLog) -> Any:
    """Put a policy where the command finds version 3."""

    def put(policy: Policy) -> None:
        decisions = fit_log.decisions.take(np.arange(30))
        bundle = PolicyBundle(
            policy, decisions.catalog, "challenger", "2026-11-12", "", "", fit_log.objectives
        )
        save_bundle(bundle, tmp_path / "artifacts" / "bundle")
        rows = reproduction_rows(policy, decisions, 12)
        write_reproduction(rows, tmp_path / "artifacts" / "reproduction.parquet")
        monkeypatch.setattr(version_files, "version_folder", lambda *_: tmp_path)
        found = SimpleNamespace(version=3)
        monkeypatch.setattr(exports, "registered_version", lambda *_: found)
        monkeypatch.setattr(exports, "load_settings", lambda _: SimpleNamespace(workspace="w"))
        monkeypatch.setattr(exports, "place_of", lambda *_: None)

    return put


def test_a_version_is_written_and_compared(
    registered: Any, policy: Tuned, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registered(policy)
    exports.export("3", tmp_path / "policy.onnx", scene="home")
    told = capsys.readouterr().out
    assert (tmp_path / "policy.onnx").stat().st_size > 10_000
    assert "model_0.dense, model_0.item, model_0.user, model_0.uncertainty" in told
    assert "12 judged decisions, probabilities at most " in told


def test_a_graph_that_nothing_can_be_compared_with_is_not_written(
    registered: Any, policy: Tuned, tmp_path: Path
) -> None:
    registered(policy)
    with pytest.raises(DataError, match=r"no judged decision.*give one of home"):
        exports.export("3", tmp_path / "policy.onnx")
    assert not (tmp_path / "policy.onnx").exists()


def test_a_graph_that_answers_otherwise_is_refused(
    registered: Any, policy: Tuned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(policy)
    answers = runtime.onnx_probabilities
    monkeypatch.setattr(runtime, "onnx_probabilities", lambda *a: answers(*a) + 1e-5)
    with pytest.raises(DataError, match="apart: do not use it"):
        exports.export("3", tmp_path / "policy.onnx", scene="home")


def test_a_policy_without_networks_is_explained(registered: Any, tmp_path: Path) -> None:
    registered(Uniform())
    with pytest.raises(DataError, match="version 3 cannot be exported: a Uniform has no networks"):
        exports.export("3", tmp_path / "policy.onnx")
