from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from mrlm.bandit_log.catalog import ITEMS_SCHEMA, Catalog
from mrlm.log_checks.drift import (
    INDEX_FLOOR,
    Drift,
    binned,
    deciles,
    histogram_drift,
    rate_drift,
    stability_index,
)
from mrlm.log_checks.shapes import NightShape, drifts, item_histograms, moved_most

Night = Callable[[np.random.Generator], np.ndarray]


def test_the_index_of_two_histograms() -> None:
    """By hand, without the half counts: 0.2 log 3 + 0.2 log(7/5), at a million counts each."""
    counts, reference = np.array([3e5, 7e5]), np.array([1e5, 9e5])
    wanted = 0.2 * np.log(3) + -0.2 * np.log(7 / 9)
    assert stability_index(counts, reference) == pytest.approx(wanted, rel=1e-4)
    assert stability_index(counts, counts) == 0


def histograms(rows: int, bins: int, steady: float) -> Night:
    """Counts whose shares vary from night to night, less where ``steady`` is larger."""
    base = np.random.default_rng(bins).dirichlet(np.full(bins, 2.0))

    def night(rng: np.random.Generator) -> np.ndarray:
        share = rng.dirichlet(base * steady) if steady else base
        many = int(rows * np.exp(0.25 * rng.normal()))
        return rng.multinomial(many, share).astype(float)

    return night


@pytest.mark.statistics
@pytest.mark.parametrize("nights", [4, 7])
def test_nights_like_the_others_are_rarely_warned_of(nights: int) -> None:
    """Of 6 x 400 histograms and 3 x 800 rates at an error of 1e-3, at most 8 each.

    More than 8 of 2,400 have a chance below 1 in 1,000.
    """
    rng = np.random.default_rng(nights)
    warned = 0
    for rows, bins, steady in (
        (200, 8, 0), (200, 20, 0), (1_800, 20, 0), (1_800, 20, 50), (1_800, 10, 20), (500, 3, 10)
    ):  # fmt: skip
        night = histograms(rows, bins, steady)
        for _ in range(400):
            found = histogram_drift(night(rng), [night(rng) for _ in range(nights)])
            assert found is not None
            warned += found.warned
    assert warned <= 8
    warned = 0
    for rows, rate, spread in ((1_800, 0.1, 0.0), (1_800, 0.1, 0.15), (200, 0.05, 0.3)):
        for _ in range(800):
            true = rate * np.exp(spread * rng.normal(size=nights + 1))
            seen = rng.binomial(rows, np.minimum(true, 1)) / rows
            rates = rate_drift(float(seen[0]), seen[1:].tolist())
            warned += rates is not None and rates.warned
    assert warned <= 8


def test_a_halved_rate_and_a_moved_histogram_are_warned_of() -> None:
    usual = [0.20, 0.21, 0.19, 0.2, 0.205, 0.195, 0.21]
    moved = rate_drift(0.1, usual)
    assert moved is not None
    assert moved.warned
    like = rate_drift(0.2, usual)
    assert like is not None
    assert not like.warned
    assert rate_drift(0.1, usual[:3]) is None
    assert rate_drift(0.0, usual) is None
    night, rng = histograms(1_800, 10, 0), np.random.default_rng(2)
    trailing = [night(rng) for _ in range(7)]
    found = histogram_drift(trailing[0][::-1].copy(), trailing[1:])
    assert found is not None
    assert found.warned
    assert found.threshold == INDEX_FLOOR
    assert histogram_drift(trailing[0], trailing[1:4]) is None
    assert Drift(0.2, 0.1, ()).warned


def test_bins_are_tenths_and_what_is_not_a_number_is_told_apart() -> None:
    values, weights = np.arange(100.0), np.ones(100)
    edges = deciles(values, weights)
    assert edges == pytest.approx([9, 19, 29, 39, 49, 59, 69, 79, 89])
    assert binned(values, weights, edges).tolist() == [10.0] * 10 + [0.0]
    assert binned(np.array([np.nan, 5.0]), np.array([2.0, 1.0]), edges)[-1] == 2
    assert deciles(values, np.zeros(100)) == []
    assert deciles(np.ones(5), np.ones(5)) == [1.0]


def catalog() -> Catalog:
    rows = [
        (f"m{i}", "", [("comedy", "drama", "horror")[i % 3]], "ab"[i % 2], {"year": 1990.0 + i})
        for i in range(30)
    ]
    columns = [list(c) for c in zip(*rows, strict=True)]
    columns[4] = [list(m.items()) for m in columns[4]]
    arrays = [pa.array(c, f.type) for c, f in zip(columns, ITEMS_SCHEMA, strict=True)]
    return Catalog.from_table(pa.Table.from_arrays(arrays, schema=ITEMS_SCHEMA))


def shape(rng: np.random.Generator, genre: np.ndarray, edges: dict[str, list[float]]) -> NightShape:
    items = catalog()
    share = genre[np.array([int(i[1:]) % 3 for i in items.item_id])]
    shown = rng.multinomial(1_500, share / share.sum()).astype(float)
    found, own = item_histograms(items, shown, edges)
    return NightShape(found, own, {"click": 0.2})


def test_a_category_that_is_gone_is_named() -> None:
    rng = np.random.default_rng(3)
    first = shape(rng, np.ones(3), {})
    trailing = [first, *(shape(rng, np.ones(3), dict(first.edges)) for _ in range(5))]
    assert first.edges["year of shown items"]
    like = shape(rng, np.ones(3), dict(first.edges))
    assert not any(d.warned for d in drifts(like, trailing).values())
    gone = shape(rng, np.array([0.0, 1.0, 1.0]), dict(first.edges))
    found = drifts(gone, trailing)
    assert [n for n, d in found.items() if d.warned] == ["category of shown items"]
    name = "category of shown items"
    label, now, before = moved_most(gone.histograms[name], [t.histograms[name] for t in trailing])
    assert label == "comedy"
    assert now == 0
    assert before == pytest.approx(1 / 3, abs=0.03)
    assert NightShape.from_json(gone.to_json()) == gone
