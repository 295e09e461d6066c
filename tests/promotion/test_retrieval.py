"""Candidates that are found by the user's history."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from mrlm.bandit_log import Catalog, Objective, Ragged
from mrlm.bandit_log.histories import Histories
from mrlm.policies.uniform import Uniform
from mrlm.promotion.serving.bundle import PolicyBundle
from mrlm.promotion.serving.live import HistoryEntry, LiveRequest, LiveVersion
from mrlm.promotion.serving.retrieval import Retrieval
from mrlm.promotion.serving.states import STATES_SCHEMA

MANY = 3_000
NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    """Two groups of items that point in two directions."""
    draw = np.random.default_rng(0)
    side = np.where(np.arange(MANY) % 2, 1.0, -1.0)
    vectors = draw.normal(0, 0.3, (MANY, 12))
    vectors[:, 0] += side + 5.0
    return Catalog.of_names([f"i{c:05d}" for c in range(MANY)]).with_embedding(
        vectors.astype(np.float32)
    )


def seen(items: list[int], rewards: list[float]) -> Histories:
    of = Ragged(np.array([0, len(items)]), np.array(items, np.int32))
    return Histories.of_lists(of, np.array(rewards, np.float32))


def test_it_finds_what_is_most_like_what_was_liked(catalog: Catalog) -> None:
    retrieval = Retrieval.of(catalog, catalog, 100, 0.1)
    assert retrieval is not None
    found = retrieval.of_user(seen([1, 3, 0, 2], [1.0, 1.0, 0.0, np.nan]))
    assert len(found) == 100 == len(set(found.tolist()) - {0, 1, 2, 3})
    assert (found % 2 == 1).all()
    # Among all, in double precision and in the plainest way.
    vectors = catalog.embedding.astype(np.float64)  # type: ignore[union-attr]
    vectors -= vectors.mean(axis=0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    near = vectors @ (vectors[1] + vectors[3])
    near[[0, 1, 2, 3]] = -np.inf
    exact = np.argsort(-near)[:100]
    assert len(np.intersect1d(found, exact)) >= 98
    assert np.diff(near[found]).max() < 1e-6
    every = retrieval.of_user(seen([0, 2], [np.nan, np.nan]))
    assert (every % 2 == 0).all(), "nothing known of any: all of them count"
    assert len(retrieval.of_user(seen([], []))) == 0


def test_a_share_is_kept_for_items_that_are_new(catalog: Catalog) -> None:
    old = Catalog.of_names([str(n) for n in catalog.item_id if not str(n).endswith("7")])
    retrieval = Retrieval.of(catalog, old, 50, 0.2)
    assert retrieval is not None
    # Items that end in 7 are all on the other side than this user.
    found = retrieval.of_user(seen([0, 2, 4], [1.0, 1.0, 1.0]))
    fresh = found % 10 == 7
    assert (len(found), fresh.sum()) == (50, 10)
    few = replace(retrieval, fresh=np.arange(MANY) == 7)
    found = few.of_user(seen([0], [1.0]))
    assert len(found) == 50, "places without a new item go to the others"
    assert 7 in found


def test_what_is_found_is_the_logged_candidate_set(catalog: Catalog) -> None:
    objectives = (Objective("like", "feedback", "north_star", event="like"),)
    bundle = PolicyBundle(Uniform(), catalog, "r", "2026-11-20", "k", "c", objectives)
    retrieval = Retrieval.of(catalog, catalog, 20, 0.0)
    live = LiveVersion("r@1", bundle, STATES_SCHEMA.empty_table(), retrieval=retrieval)
    history = [HistoryEntry("i00001", {"like": 1.0}), HistoryEntry("i00004", {"like": 0.0})]
    answer = live.answer(LiveRequest("r", "u", history=history, k=2), NOW)
    assert answer.candidates_from == "retrieval"
    assert len(answer.slots[0].candidates) == 20
    row = answer.impressions("u")[1]
    assert row["propensity"] == pytest.approx(1 / 19)
    assert row["item_id"] in row["candidates"]
    named = live.answer(LiveRequest("r", "u", ["i00002"], history, k=1), NOW)
    assert named.candidates_from == "request"


def test_a_catalogue_without_vectors_finds_nothing() -> None:
    names = Catalog.of_names(["a", "b"])
    assert Retrieval.of(names, names, 10, 0.1) is None
