from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from mrlm.bandit_log import BanditLog, Decisions
from mrlm.bandit_log.distinct_pairs import distinct_pairs
from mrlm.bandit_log.later_slot import LaterSlot, next_slot
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.ensemble.stack_pairs import PairReader


@pytest.fixture(scope="module")
def some(later_log: BanditLog) -> Decisions:
    return later_log.decisions.take(np.arange(0, 90, 3))


def plain(decisions: LaterSlot) -> Decisions:
    """The same decisions, of which nobody knows what came first."""
    return Decisions(**{f.name: getattr(decisions, f.name) for f in fields(Decisions)})


def slots(first: Decisions) -> list[LaterSlot]:
    """The second and the third slot; other lists are cut off at the third."""
    second = next_slot(
        first, first.offsets[:-1] + 2, first.candidates.values[first.offsets[:-1] + 2]
    )
    third = next_slot(second, second.offsets[:-1], second.candidates.values[second.offsets[:-1]])
    return [second, third.take(np.arange(len(third))[::-2])]


def test_slots_of_a_request_share_a_state_and_their_pairs(some: Decisions) -> None:
    second, third = slots(some)
    together = Decisions.concat([some, plain(second), plain(third)])
    order = np.random.default_rng(0).permutation(len(together))
    mixed = together.take(order)
    pairs = distinct_pairs(mixed)
    assert len(pairs.states) == len(some)
    assert len(pairs.states.candidates.values) == len(some.candidates.values)
    assert (np.diff(pairs.states.since) >= 0).all()
    codes = pairs.states.candidates.values[pairs.pair]
    np.testing.assert_array_equal(codes, mixed.candidates.values)
    row = pairs.states.candidates.row[pairs.pair]
    np.testing.assert_array_equal(row, pairs.state[mixed.candidates.row])
    for name in ("since", "until", "ts", "request"):
        np.testing.assert_array_equal(
            getattr(pairs.states, name)[pairs.state], getattr(mixed, name)
        )


def test_another_time_or_request_is_another_state(some: Decisions) -> None:
    one = some.take(np.zeros(1, np.int64))
    later = replace(one, ts=one.ts + np.timedelta64(1, "s"))
    other = replace(one, request=one.request + 1)
    assert len(distinct_pairs(Decisions.concat([one, one])).states) == 1
    assert len(distinct_pairs(Decisions.concat([one, later])).states) == 2
    assert len(distinct_pairs(Decisions.concat([one, other])).states) == 2
    assert len(distinct_pairs(one.take(np.zeros(0, np.int64))).states) == 0


def test_a_later_slot_has_the_scores_that_it_has_by_itself(
    model: RewardModel, some: Decisions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its pairs are those that were read for the first."""
    first = model.score(some)
    asked = []
    read = PairReader.read
    monkeypatch.setattr(
        PairReader, "read", lambda own, decisions: asked.append(1) or read(own, decisions)
    )
    for later in slots(some):
        features, values = model.encode(later)
        assert not asked
        again, expected = model.encode(plain(later))
        assert asked
        np.testing.assert_allclose(values, expected, atol=1e-12)
        np.testing.assert_allclose(features.dense, again.dense, atol=1e-12)
        asked.clear()
        assert model.score(some) == pytest.approx(first, abs=0)
        asked.clear()


def test_the_shown_item_goes_from_the_candidates_to_above(some: Decisions) -> None:
    second, third = slots(some)
    assert (second.position == some.position + 1).all()
    assert (second.candidates.lengths == some.candidates.lengths - 1).all()
    for i in range(len(some)):
        shown = some.candidates[i][2]
        assert second.above[i].tolist() == [*some.above[i].tolist(), shown]
        assert [*second.candidates[i][:2], shown, *second.candidates[i][2:]] == [
            *some.candidates[i]
        ]
    for slot in (second, third):
        assert slot.first is some
        assert (some.candidates.values[slot.of_candidate] == slot.candidates.values).all()
        assert (some.user[slot.of_decision] == slot.user).all()
    with pytest.raises(ValueError, match="as many places in the first slot"):
        replace(second, of_candidate=second.of_candidate[1:])
