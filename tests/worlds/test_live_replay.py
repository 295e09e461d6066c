"""A world that is shown night by night, against the same world replayed at once."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mrlm.bandit_log import Decisions
from mrlm.policies.loggers.item_softmax import ItemSoftmax, Term
from mrlm.policies.uniform import Uniform
from mrlm.worlds.live_replay import Floats, Ints, LiveReplay, TasteDrift, drifted
from mrlm.worlds.logger import SoftmaxLogger
from mrlm.worlds.memory import to_log
from mrlm.worlds.ratings import CompleteRatings
from mrlm.worlds.replayed import ReplaySettings, replay
from tests.history_value import history_value

SETTINGS = ReplaySettings(nights=4, max_slots=24)
LOGGER = ItemSoftmax((Term("popularity", True, 0.0, 1.0, SoftmaxLogger().coefficient),), 0.2)


@pytest.fixture(scope="module")
def few(ratings: CompleteRatings) -> CompleteRatings:
    return ratings.take_users(np.arange(40))


def test_nights_of_one_policy_are_the_replayed_log(few: CompleteRatings) -> None:
    log, truth = to_log(replay(few, seed=3, settings=SETTINGS))
    world = LiveReplay(few, seed=3, settings=SETTINGS)
    nights = [world.show(LOGGER) for _ in range(SETTINGS.nights)]
    assert len(world) == len(log) == sum(len(n.log) for n in nights)
    for night in nights:
        own = log.on_nights([str(night.log.night[0])])
        np.testing.assert_array_equal(night.log.decision_id, own.decision_id)
        np.testing.assert_array_equal(night.log.action, own.action)
        np.testing.assert_allclose(night.log.candidate_propensity, own.candidate_propensity)
        np.testing.assert_array_equal(night.log.rewards, own.rewards)
        np.testing.assert_array_equal(night.log.session, own.session)
        np.testing.assert_array_equal(night.log.session_step, own.session_step)
        one, other = night.log.decisions, own.decisions
        for name in ("candidates", "above", "history"):
            np.testing.assert_array_equal(getattr(one, name).values, getattr(other, name).values)
        np.testing.assert_array_equal(history_value(one), history_value(other))
    np.testing.assert_array_equal(np.concatenate([n.truth for n in nights]), truth)
    with pytest.raises(IndexError, match="all are over"):
        world.show(LOGGER)


def test_a_night_that_others_choose_is_the_night_that_their_policy_chooses(
    few: CompleteRatings,
) -> None:
    wanted = LiveReplay(few, seed=3, settings=SETTINGS, turnover=3).show(LOGGER).log
    offsets, place = wanted.decisions.offsets, {}
    for d, key in enumerate(zip(wanted.decisions.request, wanted.decisions.position, strict=True)):
        own = slice(offsets[d], offsets[d + 1])
        place[key] = wanted.candidate_propensity[own], wanted.action[d]
    asked: list[tuple[int, int]] = []

    def choose(decisions: Decisions) -> tuple[Floats, Ints]:
        keys = [*zip(decisions.request.tolist(), decisions.position.tolist(), strict=True)]
        asked.extend(keys)
        found = [place[key] for key in keys]
        return np.concatenate([p for p, _ in found]), np.array([a for _, a in found])

    world = LiveReplay(few, seed=3, settings=SETTINGS, turnover=3)
    log = world.show_chosen("others", choose).log
    np.testing.assert_array_equal(log.decision_id, wanted.decision_id)
    np.testing.assert_array_equal(
        log.decisions.candidates.values, wanted.decisions.candidates.values
    )
    np.testing.assert_array_equal(log.candidate_propensity, wanted.candidate_propensity)
    np.testing.assert_array_equal(log.rewards, wanted.rewards)
    assert set(log.policy_id) == {"others"}
    requests = np.array([request for request, _ in asked])
    request, many = np.unique(requests, return_counts=True)
    np.testing.assert_array_equal(world.slots[request], many)
    for own in request:
        assert [k for r, k in asked if r == own] == [*range(1, world.slots[own] + 1)]


def test_each_rating_is_shown_once_whatever_policies_take_turns(few: CompleteRatings) -> None:
    world = LiveReplay(few, seed=5, settings=SETTINGS)
    logs = [world.show(policy).log for policy in (LOGGER, Uniform(), LOGGER, Uniform())]
    shown = [
        (user, item)
        for log in logs
        for user, item in zip(
            log.decisions.user, log.decisions.candidates.values[log.shown], strict=True
        )
    ]
    assert len(set(shown)) == len(shown) == len(world)
    np.testing.assert_allclose(
        logs[1].candidate_propensity, 1 / np.repeat(*[logs[1].decisions.candidates.lengths] * 2)
    )


def test_what_is_passed_over_leaves_the_oldest_first(few: CompleteRatings) -> None:
    settings = ReplaySettings(nights=4)
    world = LiveReplay(few, seed=5, settings=settings, turnover=3)
    logs = [world.show(Uniform()).log for _ in range(4)]
    assert len(world) == (np.maximum((np.diff(few.offsets) - 10) // 3 + 1, 0)).sum()
    assert sum(len(log) for log in logs) == len(world)
    for u in range(len(few)):
        place = {
            int(item): k for k, item in enumerate(few.item[few.offsets[u] : few.offsets[u + 1]])
        }
        offered: list[list[int]] = []
        for log in logs:
            own = np.flatnonzero(log.decisions.user == few.user_id[u])
            offered += [sorted(place[c] for c in log.decisions.candidates[d]) for d in own]
        assert all(len(now) >= settings.min_candidates for now in offered)
        gone: set[int] = set()
        for before, now in itertools.pairwise(offered):
            left = {*before} - {*now}
            assert not gone & {*now}, "what has left does not come back"
            gone |= left
            # One of them was shown; the others were older than all that stayed.
            stayed = {*before} & {*now}
            assert sum(k > min(stayed) for k in left) <= 1


def test_users_come_to_like_what_drifts(few: CompleteRatings) -> None:
    drift = TasteDrift(stars=1.0, first=1, last=3)
    assert [drift.on(night) for night in range(5)] == [0.0, 0.0, 0.5, 1.0, 1.0]
    year = few.catalog.attributes["year"][few.item]
    new = year > np.nanmedian(year)

    def gap(of: CompleteRatings) -> float:
        return float(of.events["delight"][new].mean() - of.events["delight"][~new].mean())

    assert gap(few) + 0.1 < gap(drifted(few, drift, 0.5)) < gap(drifted(few, drift, 1.0))
    world = LiveReplay(few, seed=5, settings=SETTINGS, drift=drift)
    first, *_, last = [world.show(Uniform()) for _ in range(SETTINGS.nights)]
    for night, of in ((first, few), (last, drifted(few, drift, 1.0))):
        like = {
            (str(of.user_id[u]), int(of.item[k])): of.events["rating"][k] >= 4.0
            for u in range(len(of))
            for k in range(of.offsets[u], of.offsets[u + 1])
        }
        told = night.log.rewards[:, night.log.column("like")]
        items = night.log.decisions.candidates.values[night.log.shown].tolist()
        users = night.log.decisions.user
        np.testing.assert_array_equal(told, [like[u, i] for u, i in zip(users, items, strict=True)])
