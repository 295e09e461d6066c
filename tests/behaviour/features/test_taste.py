from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Decisions
from mrlm.bandit_log.histories import NO_REQUEST
from mrlm.behaviour.features import taste as module
from mrlm.behaviour.features.item_factors import ItemFactors
from mrlm.behaviour.features.pair_features import shown_only
from mrlm.behaviour.features.space import FeatureSpace, fit_space
from mrlm.behaviour.features.taste import taste_features
from mrlm.behaviour.fitting.history_rows import HistoryRows
from mrlm.behaviour.fitting.outcomes import Outcomes
from mrlm.behaviour.settings import BehaviourSettings, HistorySettings

SETTINGS = HistorySettings(factors=3, rounds=4, loading_prior=8.0)
Tables = tuple[FeatureSpace, tuple[ItemFactors, ...]]


@pytest.fixture(scope="module")
def rows(fit_log: BanditLog) -> HistoryRows:
    own = Outcomes.of(fit_log, BehaviourSettings(history=SETTINGS))
    return HistoryRows.of(fit_log, shown_only(fit_log), fit_space(fit_log, 4), SETTINGS, own)


@pytest.fixture(scope="module")
def fitted(rows: HistoryRows) -> Tables:
    return rows.space, rows.factors(0, seed=0)


@pytest.fixture(scope="module")
def some(later_log: BanditLog) -> Decisions:
    return later_log.decisions.take(np.arange(0, 1200, 3))


def one_by_one(decisions: Decisions, fitted: Tables) -> NDArray[np.float64]:
    """The posterior of every decision by itself, as the formula says."""
    space, models = fitted
    seen, entries = decisions.looked_back_on(), decisions.histories
    rewards = space.scaled_rewards(entries, np.arange(len(entries)))
    names = [h.objective for h in space.history]
    found = []
    for i in range(len(decisions)):
        columns = []
        for model in models:
            row = model.rows(decisions.catalog)
            mean, loading = (x[row].astype(np.float64) for x in model.padded())
            place = seen[i]
            item = decisions.histories.item[place]
            value = rewards[place, names.index(model.objective)] - mean[item]
            known = np.isfinite(value)
            x, y = loading[item[known]], value[known]
            inverse = np.linalg.inv(x.T @ x + model.noise * np.eye(x.shape[1]))
            query = loading[decisions.candidates[i]]
            variance = model.noise * np.einsum("nd,de,ne->n", query, inverse, query)
            columns += [query @ (inverse @ (x.T @ y)), np.sqrt(variance)]
        found.append(np.stack(columns, axis=1))
    return np.concatenate(found)


@pytest.mark.parametrize("more", [-2, 0, 40])
def test_what_states_share_changes_nothing(some: Decisions, fitted: Tables, more: int) -> None:
    """Windows that end before the decision, as they are, and with entries of later."""
    until = np.clip(some.until + more, some.since, len(some.histories))
    some = replace(some, until=until)
    found = taste_features(some, *fitted, np.float64)
    assert found.shape == (len(some.candidates.values), 4)
    np.testing.assert_allclose(found, one_by_one(some, fitted), atol=1e-10)
    single = taste_features(some, *fitted)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, found, atol=1e-4)
    assert (np.ptp(found, axis=0) > 0.05).all()


def test_what_is_known_for_a_time_is_seen_in_that_time(some: Decisions, fitted: Tables) -> None:
    whole = some.histories
    ends = whole.known_from + np.timedelta64(36, "h")
    ends = np.where(np.arange(len(whole)) % 2 == 0, ends, whole.known_until)
    passing = replace(some, histories=replace(whole, known_until=ends))
    assert passing.looked_back_on().lengths.sum() < some.looked_back_on().lengths.sum()
    found = taste_features(passing, *fitted, np.float64)
    np.testing.assert_allclose(found, one_by_one(passing, fitted), atol=1e-10)


def test_groups_of_states_and_their_order_change_nothing(
    some: Decisions, fitted: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = taste_features(some, *fitted, np.float64)
    order = np.random.default_rng(0).permutation(len(some))
    mixed = some.take(order)
    row = np.argsort(order, kind="stable")
    back = np.concatenate([np.arange(*mixed.offsets[[i, i + 1]]) for i in row])
    again = taste_features(mixed, *fitted, np.float64)[back]
    np.testing.assert_allclose(again, found, atol=1e-10)
    monkeypatch.setattr(module, "_BLOCK", 1)
    np.testing.assert_allclose(taste_features(some, *fitted, np.float64), found, atol=1e-10)


def test_only_what_a_decision_sees_counts(some: Decisions, fitted: Tables) -> None:
    """Entries of later, of the own request and beyond the window may hold anything."""
    seen = np.unique(some.looked_back_on().values)
    hidden = np.setdiff1d(np.arange(len(some.histories)), seen)
    assert len(hidden) > 0
    rewards = some.histories.rewards.copy()
    rewards[hidden] = 99.0
    other = replace(some, histories=replace(some.histories, rewards=rewards))
    found = taste_features(some, *fitted, np.float64)
    np.testing.assert_allclose(taste_features(other, *fitted, np.float64), found, atol=1e-10)
    rewards = some.histories.rewards.copy()
    rewards[seen] = 0.0
    changed = replace(some, histories=replace(some.histories, rewards=rewards))
    assert np.abs(taste_features(changed, *fitted, np.float64) - found).max() > 0.1


def test_entries_of_the_own_request_are_not_seen(some: Decisions, fitted: Tables) -> None:
    own = replace(some.histories, request=np.full(len(some.histories), 7))
    blind = replace(some, histories=own, request=np.full(len(some), 7, np.int64))
    nothing = replace(some, until=some.since)
    found = taste_features(blind, *fitted, np.float64)
    np.testing.assert_array_equal(found, taste_features(nothing, *fitted, np.float64))
    assert (found[:, 0] == 0).all()
    assert (some.histories.request == NO_REQUEST).all()


def test_the_order_of_a_history_does_not_matter(some: Decisions, fitted: Tables) -> None:
    last = some.take(np.array([len(some) - 1]))
    place = last.looked_back_on().values
    assert len(place) > 5

    def with_entries(order: NDArray[np.int64]) -> Decisions:
        items = last.history
        return last.with_history(
            replace(items, values=items.values[order]),
            last.histories.rewards[place][order],
            last.histories.objectives,
        )

    forth = taste_features(with_entries(np.arange(len(place))), *fitted, np.float64)
    backwards = taste_features(with_entries(np.arange(len(place))[::-1]), *fitted, np.float64)
    np.testing.assert_allclose(forth, taste_features(last, *fitted, np.float64), atol=1e-10)
    np.testing.assert_allclose(forth, backwards, atol=1e-10)


def test_of_a_new_item_a_taste_says_nothing(some: Decisions, fitted: Tables) -> None:
    space, models = fitted
    gone = some.catalog.item_id[some.candidates.values[0]]
    fewer = tuple(
        replace(m, item_id=m.item_id[k], mean=m.mean[k], loading=m.loading[k])
        for m in models
        if (k := m.item_id != gone).any()
    )
    found = taste_features(some, space, fewer)
    new = some.candidates.values == some.candidates.values[0]
    assert (found[new] == 0).all()
    assert (found[~new] != 0).any()


def test_without_models_or_decisions_there_is_nothing(some: Decisions, fitted: Tables) -> None:
    assert taste_features(some, fitted[0], ()).shape == (len(some.candidates.values), 0)
    assert taste_features(some.take(np.zeros(0, np.int64)), *fitted).shape == (0, 4)


def test_a_row_is_read_without_its_users_outcomes(rows: HistoryRows) -> None:
    """The rewards of one fold's users are turned round: their own tastes stay as they were."""
    own, other = rows.outcomes.by_itself, rows.outcomes.factors_fold == 1
    turned = replace(rows.outcomes, by_itself=np.where(other[:, None], -own, own))
    changed = replace(rows, outcomes=turned)
    first, second = (r.tastes(0, r.factors(0, 0), 0) for r in (rows, changed))
    fitted_on = rows.outcomes.fold != 0
    np.testing.assert_array_equal(first[fitted_on & other], second[fitted_on & other])
    assert (first[fitted_on & ~other] != second[fitted_on & ~other]).any(axis=1).mean() > 0.9
    held = ~fitted_on
    left_out = rows.decisions.take(np.flatnonzero(held))
    whole = taste_features(left_out, rows.space, rows.factors(0, 0))
    np.testing.assert_array_equal(first[held], whole)
