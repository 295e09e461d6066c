from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mrlm.bandit_log import BanditLog, Decisions, Ragged
from mrlm.behaviour.ensemble import user_states as module
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.ensemble.stack_pairs import PairReader
from mrlm.behaviour.ensemble.storage import _from_bytes, load_reward_model
from mrlm.behaviour.features.pair_features import HistoryRead
from mrlm.behaviour.sequence.event_forward import EventsRead
from mrlm.embeddings.user_state import Entries


def alone(log: BanditLog, row: int) -> Decisions:
    """A request that brings its history, as a served one does."""
    one = log.decisions.take(np.array([row]))
    place = one.looked_back_on().values
    entries = one.histories
    items = Ragged(np.array([0, len(place)]), entries.item[place])
    return one.with_history(items, entries.rewards[place], entries.objectives)


def read(model: RewardModel, tmp_path: Path) -> RewardModel:
    """The same model, to whom nobody came yet."""
    model.save(tmp_path)
    _from_bytes.cache_clear()
    return load_reward_model(tmp_path)


@pytest.fixture
def row(later_log: BanditLog) -> int:
    return int(np.flatnonzero(later_log.decisions.looked_back_on().lengths > 3)[0])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many entries each user had who was read."""
    found: list[int] = []
    own = PairReader._read_user

    def counted(reader: PairReader, state: Decisions) -> module.UserRead:
        if len(state) == 1:
            found.append(len(state.looked_back_on().values))
        return own(reader, state)

    monkeypatch.setattr(PairReader, "_read_user", counted)
    return found


def test_who_comes_again_is_not_read_again(
    model: RewardModel, later_log: BanditLog, row: int, asked: list[int], tmp_path: Path
) -> None:
    model = read(model, tmp_path)
    first = model.score(alone(later_log, row))
    again = alone(later_log, row)
    fewer = replace(again, candidates=Ragged(np.array([0, 2]), again.candidates.values[:2]))
    later = replace(again, ts=again.ts + np.timedelta64(1, "D"))
    np.testing.assert_array_equal(model.score(again), first)
    np.testing.assert_allclose(model.score(fewer), first[:2], atol=1e-12)
    np.testing.assert_array_equal(model.score(later), first)
    assert len(asked) == 1


def test_another_history_is_another_state(
    model: RewardModel, later_log: BanditLog, row: int, asked: list[int], tmp_path: Path
) -> None:
    model, one = read(model, tmp_path), alone(later_log, row)
    entries = one.histories
    other = replace(one, histories=replace(entries, rewards=1.0 - entries.rewards))
    shorter = replace(one, since=one.since + 1)
    found = [model.score(d) for d in (one, other, shorter)]
    assert len(asked) == 3
    assert not np.allclose(found[0], found[1], atol=1e-6)
    assert not np.allclose(found[0], found[2], atol=1e-6)
    # Alone and among others, of whom nothing is kept.
    both = model.score(Decisions.concat([one, other, shorter]))
    np.testing.assert_allclose(np.concatenate(found), both, atol=1e-12)
    moved = replace(one.catalog, attributes={k: v + 1 for k, v in one.catalog.attributes.items()})
    model.score(replace(one, catalog=moved))
    assert len(asked) == 4, "vectors of another catalogue may be others"


def test_the_one_who_stayed_away_longest_is_forgotten(
    model: RewardModel,
    later_log: BanditLog,
    row: int,
    asked: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MOST", 2)
    model, one = read(model, tmp_path), alone(later_log, row)
    requests = [replace(one, since=one.since + k) for k in range(3)]
    for k in (0, 1, 0, 2, 0):
        model.score(replace(requests[k]))
    assert len(asked) == 3
    model.score(replace(requests[1]))
    assert len(asked) == 4


def test_so_many_bytes_of_what_transformers_read_are_kept(
    later_log: BanditLog, row: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes 3 x 800 bytes: the third one to come sends the first one away."""
    monkeypatch.setattr(module, "_MOST_BYTES", 5000)
    array, none = np.zeros((1, 10, 10)), np.zeros((0, 0, 0))
    found: list[int] = []

    def read_anew(state: Decisions) -> module.UserRead:
        found.append(int(state.since[0]))
        history = HistoryRead(Entries(Ragged(np.zeros(1, np.int64), none), none), none, none)
        return module.UserRead(history, none, none, None, EventsRead(array, array, array))

    one, states = alone(later_log, row), module.UserStates()
    for k in (0, 1, 0, 2, 0, 1):
        states.of(replace(one, since=one.since + k), read_anew)
    assert found == [0, 1, 2, 1]
