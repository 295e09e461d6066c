"""Requests answered by the version that serves: whose state, which candidates, what is logged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from mrlm.bandit_log import Catalog, Decisions, Objective, Ragged
from mrlm.bandit_log.ragged import segment_log_softmax
from mrlm.policies.contract import Policy
from mrlm.policies.loggers.item_softmax import ItemSoftmax
from mrlm.promotion.serving import live as module
from mrlm.promotion.serving.answer import answer
from mrlm.promotion.serving.bundle import PolicyBundle
from mrlm.promotion.serving.live import (
    HistoryEntry,
    LiveRequest,
    LiveVersion,
    UnanswerableError,
)
from mrlm.promotion.serving.serve import recommend
from mrlm.promotion.serving.states import STATES_SCHEMA, last_states, read_states, states_table
from mrlm.worlds.latent import latent_log

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
OBJECTIVES = (Objective("delight", "feedback", "north_star", event="delight"),)


@dataclass(frozen=True)
class SeesRewards:
    """A policy that looks at what the user liked, by the items' codes."""

    name: str = "sees"

    def log_probabilities(self, decisions: Decisions) -> NDArray[np.float64]:
        seen = decisions.looked_back_on()
        value = np.nan_to_num(decisions.histories.rewards[seen.values, 0])
        liked = np.bincount(
            seen.row, weights=value * decisions.histories.item[seen.values], minlength=len(seen)
        )
        gap = decisions.candidates.values * liked[decisions.candidates.row]
        return segment_log_softmax(0.01 * gap, decisions.offsets)


def version(policy: object, catalog: Catalog, states: pa.Table | None = None) -> LiveVersion:
    bundle = PolicyBundle(policy, catalog, "r", "2026-11-20", "k", "c", OBJECTIVES)  # type: ignore[arg-type]
    return LiveVersion("r@2", bundle, STATES_SCHEMA.empty_table() if states is None else states)


def test_an_answer_is_what_the_policy_says_and_what_the_log_needs(
    catalog: Catalog, softmax: Callable[[float], ItemSoftmax]
) -> None:
    sent = ["i03", "gone", "i01", "i07", "i03"]
    live = version(softmax(0.5), catalog)
    found = live.answer(LiveRequest("r1", "u", candidates=sent, k=2), NOW, seed=3)
    assert found.dropped == ["gone"]
    assert not found.known_user
    first, second = found.slots
    assert first.candidates == ["i03", "i01", "i07"], "each once, as they were sent"
    table = pa.table({"user": ["u"], "candidates": [first.candidates]})
    state = read_states(table, catalog)
    wanted = np.exp(softmax(0.5).log_probabilities(state))
    np.testing.assert_allclose(first.candidate_propensities, wanted, rtol=1e-12)
    drawn = recommend(softmax(0.5), state, ["r1"], 2, seed=3)
    assert [s.item_id for s in found.slots] == [catalog.item_id[c] for c in drawn.items.values]
    assert {*second.candidates} == {*first.candidates} - {first.item_id}
    rows = found.impressions("ann")
    assert [r["position"] for r in rows] == [1, 2]
    assert {r["user_id"] for r in rows} == {"ann"}
    assert rows[0]["ts"] == "2026-11-21T09:30:00+00:00"
    assert rows[1]["propensity"] == second.propensity
    at = second.candidates.index(second.item_id)
    assert second.candidate_propensities[at] == second.propensity


def test_the_same_request_gets_the_same_list(
    catalog: Catalog, softmax: Callable[[float], ItemSoftmax]
) -> None:
    live, sent = version(softmax(0.5), catalog), [f"i{c:02d}" for c in range(12)]
    lists = [
        [s.item_id for s in live.answer(LiveRequest(r, "u", sent, k=3), NOW).slots]
        for r in ("a", "a", "b", "c", "d")
    ]
    assert lists[0] == lists[1]
    assert len({tuple(x) for x in lists}) > 1


def test_a_users_last_state_is_what_a_published_list_reads() -> None:
    """Candidates and history come from the log, for every user, with all objectives."""
    log, _ = latent_log(n_users=30, decisions_per_user=6, n_candidates=6, seed=2)
    last = last_states(log)
    live = version(SeesRewards(), log.decisions.catalog, states_table(last))
    wanted = np.exp(SeesRewards().log_probabilities(last))
    for row, user in enumerate(last.user):
        found = live.answer(LiveRequest("r", str(user), k=1), NOW)
        assert found.known_user
        place = slice(*last.offsets[row : row + 2])
        np.testing.assert_allclose(found.slots[0].candidate_propensities, wanted[place], atol=1e-12)
        assert found.candidates_from == "last decision"
    assert min(last.history.lengths) > 0


def test_a_history_that_is_brought_counts_and_no_other(catalog: Catalog) -> None:
    live = version(SeesRewards(), catalog)
    history = [
        HistoryEntry("i05", {"delight": 1.0, "like": 0.0}),
        HistoryEntry("gone", {"delight": 1.0}),
        HistoryEntry("i02"),
    ]
    request = LiveRequest("r", "u", candidates=["i01", "i11"], history=history, k=1)
    found = live.answer(request, NOW)
    ratio = np.exp(0.01 * 5 * 10)
    propensity = dict(
        zip(found.slots[0].candidates, found.slots[0].candidate_propensities, strict=True)
    )
    assert propensity["i11"] / propensity["i01"] == pytest.approx(ratio)
    assert found.known_user
    nothing = live.answer(LiveRequest("r", "u", candidates=["i01", "i11"], k=1), NOW)
    assert nothing.slots[0].candidate_propensities == [0.5, 0.5]


def test_of_a_long_history_the_newest_entries_count(catalog: Catalog) -> None:
    live = replace(version(SeesRewards(), catalog), history_length=2)
    history = [HistoryEntry(f"i0{n}", {"delight": 1.0}) for n in (1, 2, 3)]
    # What the catalogue lacks is one of them, as in a log: no older entry takes its place.
    history.append(HistoryEntry("gone", {"delight": 1.0}))

    def asked(of: LiveVersion, entries: list[HistoryEntry]) -> list[float]:
        request = LiveRequest("r", "u", candidates=["i01", "i11"], history=entries, k=1)
        return of.answer(request, NOW).slots[0].candidate_propensities

    assert asked(live, history) == asked(live, history[2:3])
    assert asked(live, history) != asked(live, history[1:3])
    assert asked(live, history) != asked(version(SeesRewards(), catalog), history)
    nothing = replace(live, history_length=0)
    assert asked(nothing, history) == [0.5, 0.5]
    bundle = replace(live.bundle, history_length=2)
    frame = pd.DataFrame(
        {
            "request_id": ["r"],
            "user": ["u"],
            "candidates": [["i01", "i11"]],
            "history_items": [[entry.item_id for entry in history]],
            "history_values": [[1.0] * len(history)],
        }
    )
    (registered,) = answer(bundle, frame, k=1)["candidate_propensities"][0]
    np.testing.assert_allclose(registered, asked(live, history), rtol=0, atol=1e-12)


def test_names_that_nobody_reads_and_their_order_change_nothing(catalog: Catalog) -> None:
    objectives = tuple(
        Objective(n, "feedback", "north_star" if n == "delight" else "component", event=n)
        for n in ("delight", "like")
    )
    live = version(SeesRewards(), catalog)
    live = replace(live, bundle=replace(live.bundle, objectives=objectives))

    def propensities(of: LiveVersion, *histories: dict[str, float]) -> list[float]:
        history = [HistoryEntry("i05", rewards) for rewards in histories]
        asked = LiveRequest("r", "u", candidates=["i01", "i11"], history=history, k=1)
        return of.answer(asked, NOW).slots[0].candidate_propensities

    alone = propensities(live, {"delight": 1.0, "like": 0.0})
    many = {f"n{i}": 9.0 for i in range(1000)}
    assert propensities(live, {"like": 0.0, **many, "delight": 1.0}) == alone
    assert alone != [0.5, 0.5]
    assert propensities(live, many) == [0.5, 0.5]
    first = replace(live, history_objective="like")
    assert propensities(first, {"delight": 1.0, "like": 0.0}) == [0.5, 0.5]
    entries = live._brought([HistoryEntry("i05", {"like": 0.0, **many})])
    assert entries.objectives == ("delight", "like"), "what is not read takes no memory"
    assert np.isnan(entries.rewards[:, 0]).all(), "known of nobody, and there as in logs"


def test_single_precision_is_tried_on_what_requests_are_like(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sets of any size, users as they are, and rewards of all objectives at their own scale."""
    log, _ = latent_log(n_users=30, decisions_per_user=6, n_candidates=6, seed=2)
    last = last_states(log)
    seen = last.looked_back_on()
    rewards = np.stack([last.histories.rewards[seen.values, 0], np.full(len(seen.values), 5e3)], 1)
    items = Ragged(seen.offsets, last.histories.item[seen.values])
    last = last.with_history(items, rewards.astype(np.float32), ("delight", "seconds"))
    tried: list[tuple[Decisions, float]] = []

    def quickest(policy: Policy, asked: Decisions, most_apart: float) -> Policy:
        tried.append((asked, most_apart))
        return policy

    monkeypatch.setattr(module, "quickest", quickest)
    version(SeesRewards(), log.decisions.catalog, states_table(last)).quickest()
    asked, apart = tried[0]
    made_up = asked.user == ""
    assert {*asked.candidates.lengths[made_up]} == {2, 5, 10, 100}
    assert asked.histories.objectives == ("delight", "seconds")
    assert {*asked.histories.rewards[:, 1]} == {5e3}
    row = {user: i for i, user in enumerate(last.user)}
    for i in np.flatnonzero(~made_up):
        one, whole = (d.take(np.array([n])) for d, n in ((asked, i), (last, row[asked.user[i]])))
        for name in ("item", "rewards"):
            own, known = (
                getattr(d.histories, name)[d.looked_back_on().values] for d in (one, whole)
            )
            np.testing.assert_array_equal(own, known)
    # Each at the top of a list, and below other items.
    many = len(asked) // 2
    assert {*asked.position[:many]} == {1}
    assert {*asked.above.lengths[:many]} == {0}
    assert {*(asked.position[many:] - asked.above.lengths[many:])} == {1}
    assert asked.user[:many].tolist() == asked.user[many:].tolist()
    assert np.sum(~made_up) == 2 * len(row)
    version(SeesRewards(), log.decisions.catalog).quickest()
    assert apart > tried[1][1] == 1e-7
    assert tried[1][0].histories.objectives == ("delight",)


def test_who_is_not_known_is_offered_what_is_popular(
    catalog: Catalog, softmax: Callable[[float], ItemSoftmax]
) -> None:
    popular = np.array([7, 2, 4], np.int32)
    live = replace(version(softmax(0.5), catalog), popular=popular)
    found = live.answer(LiveRequest("r", "nobody", k=2), NOW)
    assert (found.candidates_from, found.known_user) == ("popularity", False)
    assert found.slots[0].candidates == catalog.item_id[popular].tolist()
    asked = LiveRequest("r", "nobody", candidates=found.slots[0].candidates, k=2)
    assert live.answer(asked, NOW).slots == found.slots, "with true propensities"
    assert live.answer(asked, NOW).candidates_from == "request"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (LiveRequest("r", "u", candidates=["i01"], k=0), "k must be 1 or more"),
        (LiveRequest("r", "u"), "nothing is known of the user"),
        (LiveRequest("r", "u", candidates=[]), "candidates are empty"),
        (LiveRequest("r", "u", candidates=["gone"]), "none of the 1 candidates that were sent"),
    ],
)
def test_what_cannot_be_answered_is_said(
    catalog: Catalog, request_: LiveRequest, message: str
) -> None:
    with pytest.raises(UnanswerableError, match=message):
        version(SeesRewards(), catalog).answer(request_, NOW)


def test_a_version_that_cannot_answer_is_found_before_it_serves(catalog: Catalog) -> None:
    class Broken:
        name = "broken"

        def log_probabilities(self, decisions: Decisions) -> NDArray[np.float64]:
            return np.full(len(decisions.candidates.values), np.nan)

    version(SeesRewards(), catalog).prepare(NOW)
    with pytest.raises(ValueError, match="gives NaN"):
        version(Broken(), catalog).prepare(NOW)
