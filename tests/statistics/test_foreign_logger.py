"""The benchmark of a foreign logger: what is read of its log, and what is counted."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from benchmarks._peer_environment import PeerEnvironment
from benchmarks.learners import foreign_logger
from benchmarks.learners._foreign.as_log import fresh_of, log_of
from benchmarks.learners.foreign_logger import OURS, PEER, PLAIN, TAKEN

_ROUND = 86_400.0


def _lines() -> list[str]:
    """Three decisions of two users over three products; the second one's reward never came."""
    lines: list[dict[str, Any]] = []
    for number, (chosen, propensity) in enumerate(((0, 0.96), (2, 0.02), (0, 0.96))):
        record = {"decision_id": f"log-0:{number}", "chosen": chosen, "propensity": propensity}
        candidates = [[f"p{i}", {}] for i in range(3)]
        record["t"] = number * _ROUND
        lines.append(
            {"event": "decision", "context": {}, "candidates": candidates, "record": record}
        )
        kind, reward = ("expired", 0.0) if number == 1 else ("rewarded", float(number == 2))
        told = {"event": "resolution", "decision_id": f"log-0:{number}", "kind": kind}
        lines.append({**told, "reward": reward})
    return [json.dumps(line) for line in lines]


def _found() -> dict[str, Any]:
    fresh = {"user": [1], "seen": [2], "views": [[0], [1, 1, 2]]}
    path = {**fresh, "truth": [[0.1, 0.3, 0.2]], "gittins": [2]}
    return {
        "lines": _lines(),
        "log": {"user": [0, 0, 1], "seen": [1, 3, 2], "views": [[2, 1, 1], [0, 2]]},
        "fresh": {"uniform": path, "best": path},
    }


def test_a_reward_that_never_came_is_unknown_and_the_views_so_far_are_the_history() -> None:
    log = log_of(_found())
    assert log.rewards[:, 0].tolist() == pytest.approx([0.0, np.nan, 1.0], nan_ok=True)
    assert log.action.tolist() == [0, 2, 0]
    assert log.propensity.tolist() == [0.96, 0.02, 0.96]
    assert log.session_step.tolist() == [0, 1, 0]
    history = log.decisions.history
    assert history.values.tolist() == [2, 2, 1, 1, 0, 2]
    assert history.lengths.tolist() == [1, 3, 2]


def test_fresh_contexts_keep_their_path_and_views_are_counted_by_candidate() -> None:
    fresh = fresh_of(_found(), log_of(_found()))
    assert fresh.path.tolist() == ["uniform", "best"]
    assert foreign_logger._views(fresh.decisions).tolist() == [0, 2, 0, 0, 2, 0]
    assert foreign_logger._engine_value(fresh) == pytest.approx(0.2)
    policy = np.array([0.5, 0.5, 0.0, 0.0, 0.0, 1.0])
    assert foreign_logger._each(fresh, policy) == pytest.approx([0.2, 0.2])


def _cell(ours: float, upper: float) -> dict[str, Any]:
    told = {"estimator": "dr", "value": 0.0, "lower": 0.0, "upper": upper, "certified": upper < 1}
    told |= {"effective": 10.0, "degrees_of_freedom": 1.0}
    return {
        "values": {OURS: ours, PEER: 0.02},
        "chosen": "head click",
        "improves": False,
        "estimates": {TAKEN: told, PLAIN: told},
        "users": 30,
        "clicks": 20.0,
    }


def test_a_roll_out_outside_its_interval_is_not_held() -> None:
    cells = [_cell(0.018, 1.0), _cell(0.022, 0.01)]
    share, held, plain = foreign_logger._judged("x", cells, judged=True)
    assert share.ours == pytest.approx(1.0)
    assert share.holds is True
    assert held.ours == pytest.approx(0.5)
    assert held.holds is False
    assert "1 above it, 0 below; certified 1, of which 0 hold" in held.note
    assert plain.holds is None


def test_without_the_engine_there_is_a_row_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_logger, "PEERS", PeerEnvironment("nowhere", "bench-foreign"))
    (row,) = foreign_logger.run(quick=True)
    assert row.holds is None
    assert "make bench-foreign" in row.note
