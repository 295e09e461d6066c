"""What a log tells before there is a challenger, by its propensities alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mrlm.bandit_log.stored.logged_propensities import LoggedPropensities
from mrlm.bandit_log.stored.user_sample import UserSample
from mrlm.evidence.log_breadth import MOST_UNSHOWN, told_without_trial
from mrlm.ope.verdict.certify import Thresholds


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


def test_a_few_decisions_without_a_choice_do_not_speak_for_the_others() -> None:
    """Pinned items: at most as many as an interval is certified beside; of more it is none."""
    broad = [[0.5, 0.3, 0.2]] * 2000
    alone = told_without_trial(logged(*broad), 0.3)
    assert alone is not None
    assert alone > 0.9
    assert told_without_trial(logged(*broad, [1.0, 0.0]), 0.3) == pytest.approx(alone)
    assert told_without_trial(logged(*broad, *[[1.0, 0.0]] * 3), 0.3) == 0.0
    assert told_without_trial(logged([1.0, 0.0]), 0.3) == 0.0


def test_propensities_are_those_of_every_decision_or_none(tmp_path: Path) -> None:
    """What some did not log is unknown, and those that did may be of another kind."""
    lists = [[0.25, 0.75], [1.0]]
    told = stored(tmp_path / "2026-11-01", lists)
    found = LoggedPropensities.read(told)
    assert found is not None
    assert found.policy_id.tolist() == ["a", ""]
    assert found.offsets.tolist() == [0, 2, 3]
    assert found.propensity.tolist() == [0.25, 0.75, 1.0]
    assert LoggedPropensities.read(stored(tmp_path / "2026-11-02", [[1.0], None])) is None


def test_of_a_long_night_the_users_are_read_whom_everybody_reads(tmp_path: Path) -> None:
    users = 5000
    path = stored(tmp_path / "2026-11-01", [[0.5, 0.5]] * users)
    found = LoggedPropensities.read(path, 2000)
    assert found is not None
    sample = UserSample.of(path, 2000, path.name)
    assert len(found) == len(sample.read(path))
    # A binomial count: 2000 of 5000 in expectation, 6 standard deviations to either side.
    assert abs(len(found) - 2000) < 6 * np.sqrt(users * 0.4 * 0.6)


def stored(path: Path, lists: Sequence[list[float] | None]) -> Path:
    path.mkdir()
    column = pa.array(lists, pa.list_(pa.float64()))
    policy = pa.array(["a" if i % 2 == 0 else None for i in range(len(lists))], pa.string())
    user = pa.array([f"u{i}" for i in range(len(lists))])
    table = pa.table({"user": user, "policy_id": policy, "candidate_propensities": column})
    pq.write_table(table, path / "part-0.parquet")
    return path


def test_what_is_never_shown_counts_as_for_intervals() -> None:
    assert Thresholds().max_unsupported_mass == MOST_UNSHOWN
