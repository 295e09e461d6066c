from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mrlm.bandit_log import Catalog, Decisions, Histories, Ragged
from mrlm.bandit_log.catalog import ITEMS_SCHEMA
from mrlm.embeddings import user_state as state
from mrlm.embeddings.user_state import (
    Entries,
    Kernels,
    attention_features,
    history_moments,
    profile,
)
from tests.history_value import history_value


def decisions(n: int = 40, items: int = 12, seed: int = 0) -> tuple[Decisions, Any]:
    rng = np.random.default_rng(seed)
    rows = [
        {"item_id": f"i{i:02d}", "text": "", "categories": [], "provider": "", "attributes": []}
        for i in range(items)
    ]
    candidates = [rng.integers(0, items, rng.integers(1, 6)).tolist() for _ in range(n)]
    history = [rng.integers(0, items, k).tolist() for k in rng.integers(0, 9, n)]
    values = rng.normal(size=sum(map(len, history))).astype(np.float32)
    values[rng.random(len(values)) < 0.2] = np.nan
    catalog = Catalog.from_table(pa.Table.from_pylist(rows, schema=ITEMS_SCHEMA))
    seen = Ragged.from_rows(history, np.int32)
    made = Decisions(
        catalog=catalog,
        user=np.array([f"u{i}" for i in range(n)], object),
        scene=np.full(n, "home", object),
        position=np.ones(n, np.int32),
        ts=np.full(n, np.datetime64("2026-11-09", "us")),
        candidates=Ragged.from_rows(candidates, np.int32),
        histories=Histories.of_lists(seen, values),
        since=seen.offsets[:-1],
        until=seen.offsets[1:],
        request=np.zeros(n, np.int64),
        above=Ragged.from_rows([[]] * n, np.int32),
    )
    vectors = rng.normal(size=(items, 5))
    return made, (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_attention_equals_its_formula() -> None:
    given, vectors = decisions()
    kernel = Kernels(vectors, (0.3,), (0.7,))
    got = attention_features(given.candidates, Entries.of(given), [kernel])
    offsets, place = given.history.offsets, 0
    for i in range(len(given)):
        history = given.history[i]
        value = history_value(given)[offsets[i] : offsets[i + 1]]
        known = np.isfinite(value)
        for c in given.candidates[i]:
            w = np.exp((vectors[history[known]] @ vectors[c] - 1) / 0.3)
            wanted = [(w @ value[known]) / (w.sum() + 0.7), np.log1p(w.sum())]
            np.testing.assert_allclose(got[place], wanted, rtol=1e-4, atol=1e-5)
            place += 1


def test_profile_and_moments_equal_their_formulas() -> None:
    given, vectors = decisions()
    mean = profile(Entries.of(given), vectors, prior=2.0)
    moments = history_moments(Entries.of(given), half_life=2.0)[:, 0]
    offsets = given.history.offsets
    for i in range(len(given)):
        value = history_value(given)[offsets[i] : offsets[i + 1]].astype(float)
        known = np.isfinite(value)
        history = given.history[i][known]
        np.testing.assert_allclose(
            mean[i], value[known] @ vectors[history] / (known.sum() + 2.0), atol=1e-5
        )
        age = np.arange(len(value))[::-1][known]
        weight = 0.5 ** (age / 2.0)
        wanted = [
            np.log1p(known.sum()),
            value[known].sum() / (known.sum() + 2.0),
            (weight @ value[known]) / (weight.sum() + 2.0),
        ]
        np.testing.assert_allclose(moments[i], wanted, atol=1e-5)


def test_the_block_size_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    given, vectors = decisions(n=200)
    kernels = [Kernels(vectors, (0.1, 1.0), (0.1, 1.0))]
    values = np.stack([history_value(given), history_value(given) ** 2], axis=1)
    entries = Entries(given.history, values)
    whole = attention_features(given.candidates, entries, kernels, seen=True)
    mean = profile(entries, vectors, 1.0)
    monkeypatch.setattr(state, "_BLOCK", 4096)
    again = attention_features(given.candidates, entries, kernels, seen=True)
    np.testing.assert_allclose(again, whole, atol=1e-5)
    np.testing.assert_allclose(profile(entries, vectors, 1.0), mean, atol=1e-5)


def test_each_value_has_its_own_known_entries() -> None:
    """Two values at once are what each is alone; evidence of all entries counts unknown ones."""
    given, vectors = decisions(n=200)
    kernel, first = Kernels(vectors, (0.3,), (0.7,)), history_value(given)
    second = np.where(np.arange(len(first)) % 3 == 0, np.nan, 1.0).astype(np.float32)
    both = Entries(given.history, np.stack([first, second], axis=1))
    alone = [Entries(given.history, v[:, None]) for v in (first, second)]
    got = attention_features(given.candidates, both, [kernel], seen=True)
    for j, entries in enumerate(alone):
        wanted = attention_features(given.candidates, entries, [kernel])
        np.testing.assert_allclose(got[:, [j, 2 + j]], wanted, atol=1e-5)
    known = Entries(given.history, np.zeros((len(first), 1), np.float32))
    evidence = attention_features(given.candidates, known, [kernel])[:, 1]
    np.testing.assert_allclose(got[:, 4], evidence, atol=1e-5)
    width = vectors.shape[1]
    mean = profile(both, vectors, 1.0)
    moments = history_moments(both, 2.0)
    for j, entries in enumerate(alone):
        part = mean[:, j * width : (j + 1) * width]
        np.testing.assert_allclose(part, profile(entries, vectors, 1.0), atol=1e-5)
        np.testing.assert_allclose(moments[:, j], history_moments(entries, 2.0)[:, 0])


def test_without_history_everything_is_zero() -> None:
    given, vectors = decisions()
    none = given.take(np.flatnonzero(given.history.lengths == 0))
    assert len(none)
    entries = Entries.of(none)
    assert not attention_features(
        none.candidates, entries, [Kernels(vectors, (0.1,), (0.1,))]
    ).any()
    assert not profile(entries, vectors, 1.0).any()
    assert not history_moments(entries, 5.0).any()
