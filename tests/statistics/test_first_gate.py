"""A small fixed sample of ``python -m benchmarks first_gate``: the clone and the gate behind it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.first_gate import outcome
from benchmarks.first_gate.worlds import WORLDS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.statistics
@pytest.mark.parametrize("world", WORLDS)
def test_a_log_of_each_world(world: str) -> None:
    """Fixed seeds: the clone is within 2 % of the logger, and being between it and a weak champion
    does not promote, though the champion alone is beaten."""
    found = outcome(world, seed=0, users=150)
    assert abs(found.clone) <= 0.02
    assert abs(found.clone) < 0.2 * abs(found.attributes)
    assert found.before
    assert found.refused
    assert found.better


@pytest.mark.long
@pytest.mark.statistics
def test_the_quick_form_holds_every_bar() -> None:
    """Two logs a world, fixed seeds."""
    command = [sys.executable, "-m", "benchmarks", "first_gate", "--quick", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert sum(r["holds"] is True for r in rows) == 3 * len(WORLDS)
