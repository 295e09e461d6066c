from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mrlm.bandit_log import Catalog, Decisions, Ragged
from mrlm.bandit_log.catalog import ITEMS_SCHEMA
from mrlm.embeddings import user_state as state
from mrlm.embeddings.user_state import Kernel, attention_features, history_moments, profile


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
    made = Decisions(
        catalog=Catalog.from_table(pa.Table.from_pylist(rows, schema=ITEMS_SCHEMA)),
        user=np.array([f"u{i}" for i in range(n)], object),
        scene=np.full(n, "home", object),
        position=np.ones(n, np.int32),
        ts=np.full(n, np.datetime64("2026-11-09", "us")),
        candidates=Ragged.from_rows(candidates, np.int32),
        history=Ragged.from_rows(history, np.int32),
        history_value=values,
        above=Ragged.from_rows([[]] * n, np.int32),
    )
    vectors = rng.normal(size=(items, 5))
    return made, (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_attention_equals_its_formula() -> None:
    given, vectors = decisions()
    kernel = Kernel(vectors, temperature=0.3, prior=0.7)
    got = attention_features(given, [kernel], given.history_value[:, None])
    offsets, place = given.history.offsets, 0
    for i in range(len(given)):
        history = given.history[i]
        value = given.history_value[offsets[i] : offsets[i + 1]]
        known = np.isfinite(value)
        for c in given.candidates[i]:
            w = np.exp((vectors[history[known]] @ vectors[c] - 1) / 0.3)
            wanted = [(w @ value[known]) / (w.sum() + 0.7), np.log1p(w.sum())]
            np.testing.assert_allclose(got[place], wanted, rtol=1e-4, atol=1e-5)
            place += 1


def test_profile_and_moments_equal_their_formulas() -> None:
    given, vectors = decisions()
    mean = profile(given, vectors, given.history_value, prior=2.0)
    moments = history_moments(given, given.history_value, half_life=2.0)
    offsets = given.history.offsets
    for i in range(len(given)):
        value = given.history_value[offsets[i] : offsets[i + 1]].astype(float)
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
    kernels = [Kernel(vectors, 0.1, 0.1), Kernel(vectors, 1.0, 1.0)]
    values = np.stack([given.history_value, given.history_value**2], axis=1)
    whole = attention_features(given, kernels, values)
    monkeypatch.setattr(state, "_BLOCK", 4096)
    np.testing.assert_allclose(attention_features(given, kernels, values), whole, atol=1e-5)


def test_without_history_everything_is_zero() -> None:
    given, vectors = decisions()
    none = given.take(np.flatnonzero(given.history.lengths == 0))
    assert len(none)
    assert not attention_features(
        none, [Kernel(vectors, 0.1, 0.1)], none.history_value[:, None]
    ).any()
    assert not profile(none, vectors, none.history_value, 1.0).any()
    assert not history_moments(none, none.history_value, 5.0).any()
