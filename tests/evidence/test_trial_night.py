"""What a log tells before there is a challenger, by its propensities alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mrlm.bandit_log.stored.logged_propensities import LoggedPropensities
from mrlm.evidence.trial_night import told_without_trial


def logged(*propensities: list[float], by: str = "champion") -> LoggedPropensities:
    offsets = np.cumsum([0, *map(len, propensities)])
    flat = np.array([p for each in propensities for p in each])
    return LoggedPropensities(np.full(len(propensities), by, object), offsets, flat)


def test_a_narrow_log_tells_little_and_a_broad_one_nearly_as_much() -> None:
    """By hand: ``(1/p + 1/q)`` of the log over that of the mixture, p and q the likeliest two."""
    for p, q in ((0.9, 0.06), (0.5, 0.4), (0.6, 0.3)):
        served = 0.7 * p + 0.3 * q, 0.3 * p + 0.7 * q
        by_hand = (1 / served[0] + 1 / served[1]) / (1 / p + 1 / q)
        log = logged([q, p, (1 - p - q) / 2, (1 - p - q) / 2], [p, q, 1 - p - q])
        assert told_without_trial(log, 0.3) == pytest.approx(by_hand)
    assert told_without_trial(logged([1.0, 0.0], [0.5, 0.5]), 0.3) == 0.0


def test_what_cannot_be_told_is_not() -> None:
    assert told_without_trial(logged([0.9, np.nan]), 0.3) is None
    assert told_without_trial(logged([1.0], [1.0]), 0.3) is None
    assert told_without_trial(logged([0.5, 0.5]), 0.3) is None
    assert told_without_trial(logged(), 0.3) is None


def test_loggers_tell_by_their_own_precision() -> None:
    """A tenth of broad rows tells more than the narrow rest."""
    narrow = [[0.98, 0.01, 0.01]] * 9
    both = logged(*narrow, [0.5, 0.3, 0.2])
    both.policy_id[-1] = "random"
    alone, beside = told_without_trial(logged(*narrow), 0.3), told_without_trial(both, 0.3)
    assert alone is not None
    assert beside is not None
    assert beside > 2 * alone


def test_propensities_are_read_of_the_decisions_that_logged_them(tmp_path: Path) -> None:
    lists = pa.array([[0.25, 0.75], None, [1.0]], pa.list_(pa.float64()))
    table = pa.table({"policy_id": ["a", "a", None], "candidate_propensities": lists})
    pq.write_table(table, tmp_path / "part-0.parquet")
    found = LoggedPropensities.read(tmp_path)
    assert len(found) == 2
    assert found.policy_id.tolist() == ["a", ""]
    assert found.offsets.tolist() == [0, 2, 3]
    assert found.propensity.tolist() == [0.25, 0.75, 1.0]
