from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Decisions, Ragged
from mrlm.bandit_log.distinct_pairs import distinct_pairs
from mrlm.behaviour.features.pair_features import shown_only
from mrlm.behaviour.features.space import fit_space, item_table, item_vectors
from mrlm.behaviour.fitting.fit_rows import FitRows
from mrlm.behaviour.fitting.sequence_rows import SequenceRows
from mrlm.behaviour.sequence.event_lists import EventLists
from mrlm.behaviour.sequence.event_reader import EventReader, MemberReader, buckets_of
from mrlm.behaviour.sequence.sequence_model import SequenceModel
from mrlm.behaviour.sequence_settings import SequenceSettings
from mrlm.behaviour.settings import BehaviourSettings

SMALL = BehaviourSettings(
    model="sequence",
    components=6,
    sequence=SequenceSettings(
        width=8,
        entries=8,
        buckets=1024,
        identifier=4,
        identifier_dropout=0.5,
        epochs=3,
        learning_rate=1e-2,
    ),
)

# A fold that no user is in.
NOBODY = -1


@pytest.fixture(scope="module")
def rows(fit_log: BanditLog) -> SequenceRows:
    return SequenceRows.of(FitRows.of(fit_log, SMALL), fit_space(fit_log, SMALL.components))


@pytest.fixture(scope="module")
def fitted(rows: SequenceRows) -> SequenceModel:
    return rows.model(NOBODY, seed=1)


def told(model: SequenceModel, decisions: Decisions) -> NDArray[np.floating]:
    pairs = distinct_pairs(decisions)
    return MemberReader(model).outputs(pairs.states)[pairs.pair]


def test_lists_are_what_each_state_sees(fit_log: BanditLog) -> None:
    states = distinct_pairs(fit_log.decisions).states
    seen = states.looked_back_on()
    lists = EventLists.of(states, 1000)
    assert len(lists.places) < len(states), "no list is read for several"
    for i in range(len(states)):
        own = lists.places[int(lists.of_state[i])][: lists.seen[i]]
        assert own.tolist() == seen[i].tolist()
    short = EventLists.of(states, 8)
    for i in np.flatnonzero(seen.lengths > 8):
        own = short.places[int(short.of_state[i])][: short.seen[i]]
        assert 6 < len(own) <= 8
        assert own.tolist() == seen[int(i)][-len(own) :].tolist()
        # Longer histories of one user begin alike for two entries, and lists can be shared.
        assert (seen.lengths[i] - len(own)) % 2 == 0


def test_numpy_says_what_pytorch_learned(rows: SequenceRows, fitted: SequenceModel) -> None:
    """Batches are padded, what is served is read list by list: both say the same."""
    some, events = np.arange(len(rows.fit.log) - 500, len(rows.fit.log)), rows.events
    statistics = fitted.statistics.table(rows.fit.decisions.catalog)
    versions = np.stack([statistics] * SMALL.statistics_folds)
    found = np.full((len(rows.fit.log), fitted.network.head.out_features), np.nan)
    with torch.inference_mode():
        for numbers, batch in replace(events, statistics=versions).batches(some, 64, None):
            inside = numbers >= 0
            found[numbers[inside]] = fitted.network(batch)[torch.from_numpy(inside)].numpy()
    served = told(fitted, rows.fit.decisions.take(some))
    assert np.isfinite(found[some]).all()
    np.testing.assert_allclose(served, found[some], atol=2e-5)
    assert served.std(axis=0).min() > 0.05, "it learned something"


def _known_later(log: BanditLog) -> tuple[Decisions, NDArray[np.int64]]:
    """Decisions of one moment in the middle of the log, and the entries that nobody sees yet."""
    middle = np.sort(log.decisions.ts)[len(log) // 2]
    late = shown_only(log).take(np.flatnonzero(log.decisions.ts <= middle)[-200:])
    seen = np.unique(late.looked_back_on().values)
    return late, np.setdiff1d(np.arange(len(late.histories)), seen)


def test_nothing_is_read_from_what_became_known_later(
    fit_log: BanditLog, fitted: SequenceModel
) -> None:
    late, unseen = _known_later(fit_log)
    assert len(unseen) > 0
    before, own = told(fitted, late), late.histories
    rewards, item = own.rewards.copy(), own.item.copy()
    rewards[unseen], item[unseen] = 7.0, 0
    changed = replace(late, histories=replace(own, rewards=rewards, item=item))
    np.testing.assert_array_equal(told(fitted, changed), before)
    # An entry that was seen does count.
    rewards[np.unique(late.looked_back_on().values)[:5]] += 1.0
    assert (told(fitted, replace(changed, histories=replace(own, rewards=rewards))) != before).any()


def test_a_value_that_changes_between_two_decisions_is_read_anew(
    fit_log: BanditLog, fitted: SequenceModel
) -> None:
    """An early state is read from the entry as it stood, a late one from what it became."""
    rows = np.flatnonzero(shown_only(fit_log).looked_back_on().lengths > 3)[-1:]
    one = shown_only(fit_log).take(rows)
    place, own = one.looked_back_on().values, one.histories
    changed = replace(
        own,
        item=own.item[place].repeat(2),
        shown=own.shown[place].repeat(2),
        known_from=own.known_from[place].repeat(2),
        known_until=own.known_until[place].repeat(2),
        request=own.request[place].repeat(2),
        rewards=own.rewards[place].repeat(2, axis=0),
    )
    # Until noon an entry is as it was; then more is known of it.
    noon = one.ts[0]
    changed.known_until[::2], changed.known_from[1::2] = noon, noon
    changed.rewards[1::2] = 1.0 - changed.rewards[1::2]
    both = Decisions.concat([one, replace(one, ts=one.ts + np.timedelta64(1, "h"))])
    both = replace(
        both,
        histories=changed,
        since=np.zeros(2, np.int64),
        until=np.full(2, len(changed)),
        request=np.array([-2, -3]),
    )
    assert len(EventLists.of(both, 8).places) == 2
    apart = [told(fitted, both.take(np.array([i]))) for i in range(2)]
    np.testing.assert_array_equal(told(fitted, both), np.concatenate(apart))
    np.testing.assert_array_equal(apart[0], told(fitted, one))
    assert (apart[0] != apart[1]).any()


def test_an_item_that_nobody_met_is_read_without_identifier(
    fit_log: BanditLog, fitted: SequenceModel
) -> None:
    """The table begins at 0, and stays there where no row met a bucket."""
    catalog, size = fit_log.decisions.catalog, SMALL.sequence.buckets
    table = fitted.network.state_dict()["encoder.identifiers.weight"]
    unmet = set(np.flatnonzero((table == 0).all(dim=1).numpy()).tolist())
    names = np.array([f"new {i}" for i in range(3000)], object)
    new = [n for n, b in zip(names, buckets_of(names, size), strict=True) if b in unmet][:5]
    assert len(new) == 5
    named = catalog.item_id.copy()
    named[:5] = new
    vectors = item_vectors(item_table(fitted.space, catalog))
    bare = deepcopy(fitted.network)
    torch.nn.init.zeros_(bare.encoder.identifiers.weight)

    def read(model: SequenceModel) -> NDArray[np.floating]:
        reader = EventReader((model,))
        return reader.items(replace(catalog, item_id=named), [vectors], np.arange(10))[0]

    with_table, without = read(fitted), read(replace(fitted, network=bare))
    np.testing.assert_array_equal(with_table[:5], without[:5])
    assert (with_table[5:] != without[5:]).any()


def test_a_user_without_entries_is_read(fit_log: BanditLog, fitted: SequenceModel) -> None:
    none = Ragged(np.zeros(4, np.int64), np.zeros(0, np.int32))
    objectives = fit_log.decisions.histories.objectives
    bare = shown_only(fit_log).take(np.arange(3))
    bare = bare.with_history(none, np.zeros((0, len(objectives)), np.float32), objectives)
    found = told(fitted, bare)
    assert np.isfinite(found).all()


def test_users_who_have_seen_nothing_do_not_share_statistics(fit_log: BanditLog) -> None:
    """Theirs are those that leave each of them out, and so are those of who lies beside them."""
    own = fit_log.decisions
    # Where nights are joined, who has no entry in one lies at the first entry of the next.
    nobody = np.arange(len(fit_log)) % 3 == 0
    bare = np.full(len(fit_log), own.since[len(fit_log) // 2])
    since, until = (np.where(nobody, bare, ends) for ends in (own.since, own.until))
    log = replace(fit_log, decisions=replace(own, since=since, until=until))
    fit = FitRows.of(log, SMALL)
    events = SequenceRows.of(fit, fit_space(fit_log, SMALL.components)).events
    np.testing.assert_array_equal(events.version[events.of_row], fit.outcomes.statistics_fold)
    seen = shown_only(log).looked_back_on()
    assert (events.seen[nobody] == 0).all()
    for i in np.flatnonzero(~nobody)[:50]:
        read = events.entries[int(events.of_row[i])][: events.seen[i]]
        entry = seen[int(i)][len(seen[int(i)]) - len(read) :]
        assert read.tolist() == own.histories.item[entry].tolist()


def test_no_row_is_read_by_what_learned_from_its_user(fit_log: BanditLog) -> None:
    """Neither by the network nor by the statistics of items that it reads."""
    outcomes = FitRows.of(fit_log, SMALL).outcomes
    gone = (outcomes.fold == 0) | (outcomes.sequence_fold == 1)
    other = replace(fit_log, rewards=np.where(gone[:, None], 1 - fit_log.rewards, fit_log.rewards))
    # Which rewards are yes or no, and on what scale, is read of all rows.
    scales = FitRows.of(fit_log, SMALL)
    both = []
    for log in (fit_log, other):
        fit = replace(scales, log=log, outcomes=FitRows.of(log, SMALL).outcomes)
        fit.__dict__["_scales"] = scales._scales
        rows = SequenceRows.of(fit, fit_space(fit_log, SMALL.components))
        model = rows.model(0, seed=1, sequence_fold=1)
        both.append((model.statistics.values, *model.network.state_dict().values()))
    for one, another in zip(*both, strict=True):
        assert np.array_equal(np.asarray(one), np.asarray(another))
