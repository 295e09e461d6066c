from __future__ import annotations

from dataclasses import replace

import numpy as np

from mrlm.bandit_log import Ragged
from mrlm.promotion.serving.serve import positions
from mrlm.promotion.serving.states import last_states
from tests.evidence.arrays import CANDIDATES, make_log


def test_a_users_last_decision_asks_for_a_new_list() -> None:
    """Its candidates without the one that was shown, from the top, with nothing above."""
    log = make_log(n=50, users=7)
    step = np.arange(51, dtype=np.int64)
    decisions = replace(
        log.decisions,
        position=np.full(50, 3, np.int32),
        above=Ragged(step, np.zeros(50, np.int32)),
    )
    found = last_states(replace(log, decisions=decisions))
    assert found.user.tolist() == sorted(f"u{u}" for u in range(7))
    assert found.position.tolist() == [1] * 7
    assert found.above.lengths.tolist() == [0] * 7
    code = log.decisions.candidates.values.reshape(-1, CANDIDATES)
    for i, user in enumerate(found.user):
        last = max(r for r in range(50) if log.decisions.user[r] == user)
        left = [c for k, c in enumerate(code[last]) if k != log.action[last]]
        assert found.candidates[i].tolist() == left
        assert found.ts[i] == log.decisions.ts[last]


def test_of_one_time_the_lowest_slot_of_the_list_is_the_last() -> None:
    """Slots of one request have one time; what was shown further down came after."""
    log = make_log(n=4, users=1)
    decisions = replace(
        log.decisions,
        ts=np.repeat(log.decisions.ts[:1], 4),
        position=np.array([2, 4, 1, 3], np.int32),
    )
    found = last_states(replace(log, decisions=decisions))
    code = log.decisions.candidates.values.reshape(-1, CANDIDATES)[1]
    assert found.candidates[0].tolist() == np.delete(code, log.action[1]).tolist()


def test_positions_count_within_each_list() -> None:
    items = Ragged(np.array([0, 3, 3, 5]), np.array([7, 8, 9, 4, 5], np.int32))
    assert positions(items).tolist() == [1, 2, 3, 1, 2]
    assert positions(Ragged(np.zeros(1, np.int64), np.zeros(0, np.int32))).tolist() == []
