from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from scipy.stats import chisquare

from mrlm.bandit_log import Catalog, Decisions, Objective
from mrlm.bandit_log.catalog import ITEMS_SCHEMA
from mrlm.bandit_log.ragged import segment_log_softmax
from mrlm.embeddings.stored_catalog import load_catalog, save_catalog
from mrlm.policies.loggers.item_softmax import ItemSoftmax
from mrlm.policies.quotas.quotas import Quotas
from mrlm.policies.uniform import Uniform
from mrlm.promotion.serving.answer import answer
from mrlm.promotion.serving.bundle import PolicyBundle, load_bundle, save_bundle, scorer_kinds
from mrlm.promotion.serving.list_quotas import few_shows_told, list_quotas, too_few_shows
from mrlm.promotion.serving.published import PUBLISHED_SCHEMA, published_lists
from mrlm.promotion.serving.serve import recommend
from mrlm.promotion.serving.states import STATES_SCHEMA, read_states, states_table
from tests.history_value import history_value

MakeSoftmax = Callable[[float], ItemSoftmax]
ROW = ("user", "candidates", "history_items", "history_rewards")


@dataclass(frozen=True)
class AvoidsNeighbours:
    """A policy that looks at the items above, so that conditioning matters."""

    name: str = "avoids"

    def log_probabilities(self, decisions: Decisions) -> NDArray[np.float64]:
        codes = decisions.candidates.values.astype(np.float64)
        last = np.full(len(decisions), -5.0)
        full = decisions.above.lengths > 0
        last[full] = decisions.above.values[decisions.above.offsets[1:][full] - 1]
        gap = np.abs(codes - last[decisions.candidates.row])
        return segment_log_softmax(0.3 * gap, decisions.offsets)


def _requests(catalog: Catalog, n: int, candidates: list[str]) -> Decisions:
    table = pa.table({"user": [f"u{i}" for i in range(n)], "candidates": [candidates] * n})
    return read_states(table, catalog)


@pytest.mark.statistics
def test_lists_come_with_their_true_propensities(catalog: Catalog) -> None:
    """Every ordered pair of 4 items is drawn as often as its two propensities multiply to.

    Fixed seed; over seeds this test would fail in 1 of 1000 runs of a correct sampler.
    """
    n, items = 30_000, ["i00", "i03", "i05", "i11"]
    requests = _requests(catalog, n, items)
    drawn = recommend(AvoidsNeighbours(), requests, [f"r{i}" for i in range(n)], 2, seed=7)
    pairs = drawn.items.values.reshape(n, 2)
    product = drawn.propensities.values.reshape(n, 2).prod(1)
    expected: dict[tuple[int, int], float] = {}
    for pair, p in zip(map(tuple, pairs.tolist()), product, strict=True):
        assert expected.setdefault(pair, p) == pytest.approx(p, abs=1e-12)
    assert len(expected) == 12
    assert sum(expected.values()) == pytest.approx(1.0, abs=1e-9)
    counts = [int((pairs == pair).all(1).sum()) for pair in expected]
    assert chisquare(counts, n * np.array(list(expected.values()))).pvalue > 0.001


def test_a_request_gets_the_same_list_whoever_comes_with_it(
    decisions: Decisions, softmax: MakeSoftmax
) -> None:
    ids = [f"r{i}" for i in range(len(decisions))]
    all_at_once = recommend(softmax(0.5), decisions, ids, 3, seed=1)
    some = np.array([7, 3, 200])
    few = recommend(softmax(0.5), decisions.take(some), [ids[i] for i in some], 3, seed=1)
    for place, i in enumerate(some):
        assert few.items[place].tolist() == all_at_once.items[int(i)].tolist()
    other = recommend(softmax(0.5), decisions, ids, 3, seed=2)
    assert other.items.values.tolist() != all_at_once.items.values.tolist()


def test_blocks_of_requests_change_no_list(
    decisions: Decisions, softmax: MakeSoftmax, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [f"r{i}" for i in range(len(decisions))]
    whole = recommend(softmax(0.5), decisions, ids, 3, seed=1).to_table(decisions.catalog)
    monkeypatch.setattr("mrlm.bandit_log.decisions.BLOCK", 40)
    assert recommend(softmax(0.5), decisions, ids, 3, seed=1).to_table(decisions.catalog) == whole


def test_every_slot_tells_what_was_left_for_it_and_how_likely_each_was(
    decisions: Decisions, softmax: MakeSoftmax
) -> None:
    ids = [f"r{i}" for i in range(len(decisions))]
    drawn = recommend(softmax(0.5), decisions, ids, 3, seed=1)
    owner, offered = drawn.items.row, decisions.candidates
    assert len(drawn.candidates) == len(drawn.items.values)
    np.testing.assert_array_equal(drawn.candidates.offsets, drawn.candidate_propensities.offsets)
    for slot, item in enumerate(drawn.items.values.tolist()):
        left, chance = drawn.candidates[slot], drawn.candidate_propensities[slot]
        above = drawn.items.values[:slot][owner[:slot] == owner[slot]]
        assert set(left.tolist()) == {*offered[int(owner[slot])].tolist()} - {*above.tolist()}
        assert chance.sum() == pytest.approx(1.0, abs=1e-12)
        assert chance[left == item].tolist() == [drawn.propensities.values[slot]]


def test_published_rows_are_rows_of_a_log_whatever_the_blocks(
    decisions: Decisions, softmax: MakeSoftmax, monkeypatch: pytest.MonkeyPatch
) -> None:
    def published() -> list[pa.Table]:
        return list(
            published_lists(
                softmax(0.5), decisions, night="2026-11-20", policy_id="r@2", k=3, seed=1
            )
        )

    (whole,) = published()
    monkeypatch.setattr("mrlm.bandit_log.decisions.BLOCK", 40)
    parts = published()
    assert len(parts) > 5
    assert pa.concat_tables(parts).combine_chunks().equals(whole.combine_chunks())
    assert whole.schema == PUBLISHED_SCHEMA
    for row in whole.to_pylist():
        at = row["candidates"].index(row["item_id"])
        assert row["candidate_propensities"][at] == row["propensity"]
        assert row["request_id"] == f"2026-11-20/{row['user']}"


def test_lists_of_a_night_keep_to_what_items_have_room_for(
    decisions: Decisions, softmax: MakeSoftmax
) -> None:
    room = np.where(np.arange(12) % 3 == 0, 10.0, np.nan)
    catalog = replace(decisions.catalog, attributes={"seats": room})
    users = np.array([f"u{i}" for i in range(len(decisions))], dtype=object)
    requests = replace(decisions, catalog=catalog, user=users)

    def published(capacity: str, order: NDArray[np.int64] | None = None) -> pd.DataFrame:
        (table,) = published_lists(
            softmax(0.5),
            requests if order is None else requests.take(order),
            night="2026-11-20",
            policy_id="r@2",
            k=3,
            seed=1,
            quotas=list_quotas(catalog, capacity, "", {}),
        )
        return table.to_pandas()

    free, found = published(""), published("seats")
    shown, wanted = (np.bincount(catalog.codes(pa.array(t["item_id"]))) for t in (found, free))
    limited = ~np.isnan(room)
    assert (wanted[limited] > 20).all()
    assert (shown[limited] == 10).all()
    for row in found.to_dict("records"):
        assert row["candidate_propensities"].sum() == pytest.approx(1.0)
        at = list(row["candidates"]).index(row["item_id"])
        assert row["candidate_propensities"][at] == row["propensity"] > 0
    # What has no limit is there for everybody.
    row, code = decisions.candidates.row, decisions.candidates.values
    unlimited = np.bincount(row[~limited[code]], minlength=len(decisions))
    assert len(found) >= np.minimum(unlimited, 3).sum()
    # Nor does it matter who comes first.
    order = np.random.default_rng(2).permutation(len(decisions))
    by_name = ["request_id", "position"]
    pd.testing.assert_frame_equal(
        found.sort_values(by_name, ignore_index=True),
        published("seats", order).sort_values(by_name, ignore_index=True),
    )
    with pytest.raises(ValueError, match="needs the item attribute 'stock'"):
        published("stock")


def test_lists_of_a_night_show_what_they_have_to(
    decisions: Decisions, softmax: MakeSoftmax
) -> None:
    promised = np.where(np.arange(12) == 3, 90.0, np.nan)
    provider = np.array(["a", "b", "c", "c"] * 3, dtype=object)
    catalog = replace(decisions.catalog, attributes={"promised": promised}, provider=provider)
    of_providers = {"b": 240.0, "nobody": 5.0}
    quotas = list_quotas(catalog, "", "promised", of_providers)

    def shown(used: Quotas | None) -> pa.Array:
        requests, ids = replace(decisions, catalog=catalog), [*map(str, range(len(decisions)))]
        drawn = recommend(softmax(0.5), requests, ids, 3, 1, used)
        assert drawn.items.lengths.tolist() == np.minimum(decisions.candidates.lengths, 3).tolist()
        return pa.array(catalog.item_id[drawn.items.values])

    def times(items: pa.Array) -> tuple[int, int]:
        found = np.bincount(catalog.codes(items), minlength=12)
        return int(found[3]), int(found[provider == "b"].sum())

    free, found = shown(None), shown(quotas)
    assert (np.array(times(free)) < [80, 230]).all()
    assert (np.array(times(found)) - [90, 240] <= 2).all()
    few = {"provider nobody": {"asked": 5.0, "shown": 0.0}}
    assert too_few_shows(catalog, quotas, found, of_providers) == few
    few["item " + catalog.item_id[3]] = {"asked": 90.0, "shown": times(free)[0]}
    few["provider b"] = {"asked": 240.0, "shown": times(free)[1]}
    assert too_few_shows(catalog, quotas, free, of_providers) == few


def test_many_that_are_shown_too_seldom_are_one_sentence() -> None:
    few = {f"item {k}": {"asked": float(k), "shown": 0.0} for k in range(1, 250)}
    assert few_shows_told(few) == (
        "249 are in fewer slots than they have to be: item 249 0 of 249, item 248 0 of 248, "
        "item 247 0 of 247, item 246 0 of 246, item 245 0 of 245 and 244 more"
    )
    assert few_shows_told({"item a": {"asked": 2.0, "shown": 1.0}}) == (
        "1 are in fewer slots than they have to be: item a 1 of 2"
    )


def test_lists_hold_no_item_twice_and_end_with_the_candidates(
    decisions: Decisions, softmax: MakeSoftmax
) -> None:
    ids = [f"r{i}" for i in range(len(decisions))]
    drawn = recommend(softmax(0.5), decisions, ids, 50, seed=1)
    assert drawn.items.lengths.tolist() == decisions.candidates.lengths.tolist()
    for i in range(len(decisions)):
        assert sorted(drawn.items[i].tolist()) == sorted(decisions.candidates[i].tolist())
        assert drawn.propensities[i][-1] == pytest.approx(1.0)


def test_requests_without_candidates_get_empty_lists(catalog: Catalog) -> None:
    drawn = recommend(Uniform(), _requests(catalog, 2, []), ["a", "b"], 3, seed=0)
    assert drawn.items.lengths.tolist() == [0, 0]
    nobody = _requests(catalog, 1, ["i00"]).take(np.zeros(0, np.int64))
    assert len(recommend(Uniform(), nobody, [], 3, seed=0).items) == 0
    with pytest.raises(ValueError, match="k must be 1 or more"):
        recommend(Uniform(), _requests(catalog, 1, ["i00"]), ["a"], 0, seed=0)


def test_states_survive_their_table(
    decisions: Decisions, catalog: Catalog, softmax: MakeSoftmax
) -> None:
    again = read_states(states_table(decisions), catalog)
    for policy in (softmax(0.5), AvoidsNeighbours()):
        assert np.array_equal(policy.log_probabilities(again), policy.log_probabilities(decisions))
    assert np.array_equal(again.ts, decisions.ts)
    assert np.array_equal(history_value(again), history_value(decisions), equal_nan=True)


@pytest.mark.parametrize(
    ("known", "objectives"),
    [
        ({"like": [1.0]}, ("like", "delight")),
        ({}, ("delight", "like")),
        (None, ("delight", "like")),
    ],
)
def test_an_objective_of_which_nothing_is_known_is_none_that_histories_lack(
    catalog: Catalog, known: dict[str, list[float]] | None, objectives: tuple[str, ...]
) -> None:
    """A model that reads it would take another way, and served would not be what was judged."""
    schema = pa.schema([f for f in STATES_SCHEMA if f.name in ROW])
    row = {"user": "u", "candidates": ["i00"], "history_items": ["i03"], "history_rewards": known}
    table = pa.Table.from_pylist([row], schema)
    read = read_states(table, catalog, objectives=("delight", "like")).histories
    assert read.objectives == objectives
    expected = {"delight": np.nan, "like": 1.0 if known else np.nan}
    np.testing.assert_array_equal(read.rewards[0], [expected[n] for n in objectives])


def test_a_candidate_outside_the_catalogue_is_named(catalog: Catalog) -> None:
    with pytest.raises(ValueError, match="candidates: item 'nowhere' is not in the catalogue"):
        _requests(catalog, 1, ["i00", "nowhere"])


@pytest.fixture
def bundle(catalog: Catalog, softmax: MakeSoftmax) -> PolicyBundle:
    objectives = (Objective("delight", "feedback", "north_star", event="delight"),)
    return PolicyBundle(softmax(0.5), catalog, "r", "2026-11-20", "k", "c", objectives)


def test_a_bundle_comes_back_as_it_was(
    tmp_path: Path, catalog: Catalog, bundle: PolicyBundle
) -> None:
    embedded = catalog.with_embedding(np.arange(24, dtype=np.float32).reshape(12, 2))
    bundle = replace(bundle, catalog=embedded, history_length=7)
    save_bundle(bundle, tmp_path / "b")
    again = load_bundle(tmp_path / "b")
    assert again.history_length == 7
    assert again.policy == bundle.policy
    assert again.objectives == bundle.objectives
    assert again.catalog.embedding is not None
    assert np.array_equal(again.catalog.embedding, embedded.embedding)
    assert again.catalog.item_id.tolist() == catalog.item_id.tolist()
    assert scorer_kinds(tmp_path / "b") == ()


def test_half_a_bundle_is_none(tmp_path: Path, bundle: PolicyBundle) -> None:
    save_bundle(bundle, tmp_path / "b")
    (tmp_path / "b" / "bundle.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"bundle\.json is missing"):
        load_bundle(tmp_path / "b")


def test_a_frame_of_requests_is_answered(bundle: PolicyBundle) -> None:
    frame = pd.DataFrame(
        {
            "request_id": ["a", "b"],
            "user": ["u", "v"],
            "candidates": [["i01", "gone", "i02"], np.array(["i03"])],
            "history_items": [["i04", "gone"], None],
            "history_values": [[1.0, 0.0], None],
        }
    )
    found = answer(bundle, frame, k=5, seed=3)
    assert sorted(found["items"][0]) == ["i01", "i02"]
    assert found["items"][1] == ["i03"]
    assert found["propensities"][1] == [1.0]
    assert found["dropped"].tolist() == [["gone"], []]
    assert [len(slot) for slot in found["candidates"][0]] == [2, 1]
    assert found["candidate_propensities"][1] == [[1.0]]
    assert json.dumps(found.to_dict("records"))


def test_a_version_answers_over_the_items_that_came_after_it(
    tmp_path: Path, catalog: Catalog, bundle: PolicyBundle
) -> None:
    vectors = np.arange(24, dtype=np.float32).reshape(12, 2)
    older = replace(bundle, catalog=catalog.with_embedding(vectors))
    rows = [*catalog.to_table().to_pylist(), {"item_id": "a new one", "text": "just out"}]
    items = Catalog.from_table(pa.Table.from_pylist(rows, schema=ITEMS_SCHEMA))
    place = items.codes(catalog.item_id)
    newer = np.full((13, 2), 7.0, np.float32)
    newer[place] = vectors
    save_catalog(items.with_embedding(newer), tmp_path)
    frame = pd.DataFrame({"request_id": ["a"], "user": ["u"], "candidates": [["i01", "a new one"]]})
    assert answer(older, frame)["dropped"][0] == ["a new one"]
    found = answer(older.with_catalog(load_catalog(tmp_path)), frame)
    assert sorted(found["items"][0]) == ["a new one", "i01"]
    newer[place[3]] += 1.0
    with pytest.raises(ValueError, match="trained on the embeddings of another encoder"):
        older.with_catalog(items.with_embedding(newer))
    with pytest.raises(ValueError, match="another encoder"):
        older.with_catalog(items.with_embedding(np.zeros((13, 3), np.float32)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"request_id": [None]}, "request_id"),
        ({"user": [None]}, "user is null in row 0"),
        ({"candidates": [7]}, "'candidates' must be list"),
        ({"history_items": [["i01"]], "history_values": [[1.0, 2.0]]}, "2 history_values for 1"),
    ],
)
def test_wrong_requests_are_explained(
    bundle: PolicyBundle, change: dict[str, list[object]], message: str
) -> None:
    frame = pd.DataFrame({"request_id": ["a"], "user": ["u"], "candidates": [["i01"]]} | change)
    with pytest.raises(ValueError, match=message):
        answer(bundle, frame)
