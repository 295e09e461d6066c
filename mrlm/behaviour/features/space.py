"""What the reward model knows of items, users and scenes before it learns: fitted scales."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Catalog
from mrlm.bandit_log.histories import UNNAMED, Histories

# More categories than this are left to the text embedding.
_MAX_CATEGORIES = 64
_MAX_SCENES = 16


@dataclass(frozen=True)
class Attribute:
    """How one item attribute is scaled: (x - centre) / scale, of log(1 + x) when ``log``."""

    name: str
    log: bool
    centre: float
    scale: float


@dataclass(frozen=True)
class HistoryScale:
    """How one reward of the history is scaled, see ``_scaled_reward``.

    Attributes:
        objective: its name; ``UNNAMED``: the histories' first one, whatever it is called.
        centre: mean of the known rewards.
        scale: their standard deviation, or 1 where there are none.
        missing: what an entry without a reward counts as; None: it is unknown.
    """

    objective: str
    centre: float
    scale: float
    missing: float | None = None

    def of(self, reward: NDArray[np.floating]) -> NDArray[np.floating]:
        """Scaled rewards, same shape; NaN where unknown."""
        return _scaled_reward(reward, self.centre, self.scale, self.missing)


@dataclass(frozen=True)
class FeatureSpace:
    """Fitted on the fit nights and kept with the model, so that later nights are read alike.

    Attributes:
        centre: mean embedding of the candidates, float32, shape (dimensions,).
        components: principal directions, float32, shape (dimensions, components).
        categories: names of the categories that are used, most frequent first.
        category_weight: float32, one a category: the logarithm of its rarity.
        attributes: scaled item attributes.
        scenes: scenes that have an indicator.
        history: scaled rewards of the history.
    """

    centre: NDArray[np.float32]
    components: NDArray[np.float32]
    categories: tuple[str, ...]
    category_weight: NDArray[np.float32]
    attributes: tuple[Attribute, ...]
    scenes: tuple[str, ...]
    history: tuple[HistoryScale, ...]

    @property
    def counts_ignored(self) -> bool:
        """Whether entries without a reward are evidence; not in spaces of format 1."""
        return self.history[0].objective != UNNAMED

    def scaled_rewards(self, histories: Histories, place: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scaled rewards of the entries at ``place``, (places, rewards); NaN where unknown."""
        found = [histories.place(scale.objective, j) for j, scale in enumerate(self.history)]
        known = [j for j, column in enumerate(found) if column is not None]
        columns = [c for c in found if c is not None]
        read = histories.rewards[place][:, columns]
        rewards = _scaled_reward(read, *(x[known] for x in self._scales))
        if len(known) == len(found):
            return rewards
        values = np.full((len(place), len(found)), np.nan, np.float32)
        values[:, known] = rewards
        return values

    @cached_property
    def _scales(self) -> tuple[NDArray[np.float32], ...]:
        """Centres, scales, and what missing rewards count as, NaN where they are unknown."""
        columns = zip(*((h.centre, h.scale, h.missing) for h in self.history), strict=True)
        return tuple(np.array(x, np.float32) for x in columns)

    def describe(self) -> dict[str, Any]:
        """Everything but the arrays, for JSON."""
        return {
            "categories": list(self.categories),
            "attributes": [asdict(a) for a in self.attributes],
            "scenes": list(self.scenes),
            "history": [asdict(h) for h in self.history],
        }

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """The arrays, for safetensors."""
        return {
            "space.centre": self.centre,
            "space.components": self.components,
            "space.category_weight": self.category_weight,
        }

    @classmethod
    def from_parts(
        cls, data: dict[str, Any], arrays: dict[str, NDArray[np.float32]]
    ) -> FeatureSpace:
        """The space that ``describe`` and ``arrays`` were taken from."""
        return cls(
            centre=arrays["space.centre"],
            components=arrays["space.components"],
            category_weight=arrays["space.category_weight"],
            categories=tuple(data["categories"]),
            attributes=tuple(Attribute(**a) for a in data["attributes"]),
            scenes=tuple(data["scenes"]),
            history=tuple(HistoryScale(**h) for h in data["history"])
            if "history" in data
            else (HistoryScale(UNNAMED, data["history_mean"], data["history_scale"]),),
        )


@dataclass(frozen=True)
class ItemTable:
    """One catalogue seen through a feature space, in one precision; row c is item c.

    Attributes:
        text: unit vectors of the embedding's principal components.
        category: unit vectors over the categories, zero for an item with none.
        attributes: scaled attributes, 0 where unknown, shape (items, attributes).
    """

    text: NDArray[np.floating]
    category: NDArray[np.floating]
    attributes: NDArray[np.floating]

    @cached_property
    def vectors(self) -> NDArray[np.floating]:
        """Text and category side by side."""
        return np.concatenate([self.text, self.category], axis=1)


def fit_space(log: BanditLog, components: int) -> FeatureSpace:
    """Fit the scales on the candidates and histories of a log.

    Raises:
        ValueError: the catalogue has no embedding.
    """
    catalog = log.decisions.catalog
    offered = np.unique(log.decisions.candidates.values)
    embedding = _embedding(catalog)[offered].astype(np.float64)
    centre = embedding.mean(axis=0)
    covariance = (embedding - centre).T @ (embedding - centre)
    directions = np.linalg.eigh(covariance)[1][:, ::-1][:, :components]
    # The sign of an eigenvector is free: the largest entry is made positive.
    largest = np.abs(directions).argmax(axis=0)
    directions = directions * np.sign(directions[largest, np.arange(directions.shape[1])])
    counts = np.bincount(catalog.categories.values, minlength=len(catalog.category_names))
    used = np.argsort(-counts, kind="stable")[:_MAX_CATEGORIES]
    scenes, rows = np.unique(log.decisions.scene.astype(str), return_counts=True)
    frequent = sorted(scenes[np.argsort(-rows, kind="stable")[:_MAX_SCENES]].tolist())
    return FeatureSpace(
        centre=centre.astype(np.float32),
        components=np.ascontiguousarray(directions, np.float32),
        categories=tuple(str(catalog.category_names[c]) for c in used),
        category_weight=np.log(1.0 + len(catalog) / np.maximum(counts[used], 1)).astype(np.float32),
        attributes=tuple(_attribute(catalog, name) for name in sorted(catalog.attributes)),
        scenes=tuple(frequent),
        history=tuple(_history_scales(log)),
    )


def item_table(
    space: FeatureSpace, catalog: Catalog, precision: type[np.floating] = np.float32
) -> ItemTable:
    """The catalogue seen through the space, in this precision; items and categories may be new.

    Raises:
        ValueError: the catalogue has no embedding, or one of another width.
    """
    embedding = _embedding(catalog)
    if embedding.shape[1] != len(space.centre):
        raise ValueError(
            f"the catalogue's embedding has {embedding.shape[1]} dimensions, the reward model was "
            f"fitted on {len(space.centre)}: embed it with the encoder of that night"
        )
    place = {name: j for j, name in enumerate(space.categories)}
    column = np.array([place.get(str(n), -1) for n in catalog.category_names], np.int64)
    category = np.zeros((len(catalog), len(space.categories)), precision)
    if len(catalog.categories.values):
        entry = column[catalog.categories.values.astype(np.int64)]
        row = catalog.categories.row
        category[row[entry >= 0], entry[entry >= 0]] = space.category_weight[entry[entry >= 0]]
    attributes = [_scaled(catalog, a).astype(precision) for a in space.attributes]
    centred = embedding.astype(precision, copy=False) - space.centre
    return ItemTable(
        text=_unit(centred @ space.components.astype(precision, copy=False)),
        category=_unit(category),
        attributes=np.stack(attributes, axis=1)
        if attributes
        else np.zeros((len(catalog), 0), precision),
    )


def item_vectors(table: ItemTable) -> NDArray[np.floating]:
    """All that is known of items before anything happened with them, shape (items, columns)."""
    return np.concatenate([table.vectors, table.attributes], axis=1)


def _embedding(catalog: Catalog) -> NDArray[np.float32]:
    if catalog.embedding is None:
        raise ValueError("the catalogue has no embedding: run embed_catalog (stage embed) first")
    return catalog.embedding


def _history_scales(log: BanditLog) -> Iterator[HistoryScale]:
    histories = log.decisions.histories
    missing = {o.name: o.missing for o in log.objectives}
    for j, name in enumerate(histories.objectives):
        absent = missing.get(name)
        value = histories.rewards[:, j].astype(np.float64)
        value = value[np.isfinite(value)] if absent is None else np.nan_to_num(value, nan=absent)
        spread = float(value.std()) if len(value) else 0.0
        centre = float(value.mean()) if len(value) else 0.0
        yield HistoryScale(name, centre, spread if spread > 0 else 1.0, absent)


def _unit(x: NDArray[np.floating]) -> NDArray[np.floating]:
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return (x / np.where(length > 0, length, 1.0)).astype(x.dtype)


def _attribute(catalog: Catalog, name: str) -> Attribute:
    known = catalog.attributes[name]
    known = known[np.isfinite(known)]
    # A long right tail (counts, prices) is compressed; years and shares are not.
    log = len(known) > 0 and known.min() >= 0 and known.mean() > 1.5 * np.median(known)
    known = np.log1p(known) if log else known
    spread = float(known.std()) if len(known) else 0.0
    return Attribute(
        name=name,
        log=bool(log),
        centre=float(known.mean()) if len(known) else 0.0,
        scale=spread if spread > 0 else 1.0,
    )


def _scaled(catalog: Catalog, attribute: Attribute) -> NDArray[np.float64]:
    x = catalog.attributes.get(attribute.name)
    if x is None:
        return np.zeros(len(catalog))
    x = np.where(np.isfinite(x), x, np.nan)
    if attribute.log:
        x = np.log1p(np.maximum(x, 0.0))
    scaled = np.clip((x - attribute.centre) / attribute.scale, -4.0, 4.0)
    return np.asarray(np.nan_to_num(scaled, nan=0.0), np.float64)


def _scaled_reward(
    reward: NDArray[np.floating],
    centre: float | NDArray[np.float32],
    scale: float | NDArray[np.float32],
    missing: float | NDArray[np.float32] | None,
) -> NDArray[np.float32]:
    """(x - centre) / scale in the precision of x: the reward, or ``missing`` where it is not known.

    Where that is None or NaN, x is not known either.
    """
    x = reward if missing is None else np.where(np.isnan(reward), missing, reward)
    return np.asarray((x - centre) / scale, reward.dtype)
