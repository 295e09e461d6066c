"""What a clone of a logger may look at: the item, the state, and what lies between them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Catalog, Decisions, Ragged
from mrlm.bandit_log.distinct_pairs import distinct_pairs
from mrlm.bandit_log.last_call import LastCall
from mrlm.bandit_log.ragged import rows, segment_sum
from mrlm.embeddings.user_state import Entries, Kernels, attention_features
from mrlm.policies.loggers.item_softmax import Term, attribute_terms, term_column

Floats = NDArray[np.float64]

_MOST_CATEGORIES = 20
_MOST_DIRECTIONS = 16
_MOST_SCENES = 8
# A history entry that is half as similar counts e^-2.5, a twelfth.
_TEMPERATURE = 0.2
# Zero vectors that are added to a profile: one entry tells less than ten.
_PRIOR = 1.0


@dataclass(frozen=True)
class _ItemsSeen:
    """One catalogue as a view sees it; row c is item c, all float64.

    Attributes:
        attributes: standardised.
        categories: indicators.
        vectors: coordinates of the embedding.
        unit: the same in unit length.
    """

    attributes: Floats
    categories: Floats
    vectors: Floats
    unit: Floats


@dataclass(frozen=True)
class CloneView:
    """The columns that a clone reads of every candidate, a pure function of the decisions.

    Attributes:
        terms: item attributes, standardised.
        categories: names that get an indicator, the most frequent ones.
        scenes: names that get an indicator, the most frequent ones.
        centre: float64, shape (dimensions,), mean of the items' embeddings; no entries without.
        directions: float64, shape (dimensions, r), their principal directions, scaled to unit
            variance.
    """

    terms: tuple[Term, ...]
    categories: tuple[str, ...]
    scenes: tuple[str, ...]
    centre: Floats
    directions: Floats
    _seen: LastCall[Catalog, _ItemsSeen] = field(
        default_factory=LastCall, init=False, repr=False, compare=False
    )

    @classmethod
    def of(cls, decisions: Decisions) -> CloneView:
        """The view for logs like this one."""
        catalog = decisions.catalog
        counts = np.bincount(catalog.categories.values, minlength=len(catalog.category_names))
        frequent = np.argsort(-counts, kind="stable")[:_MOST_CATEGORIES]
        scene, many = np.unique(decisions.scene.astype(str), return_counts=True)
        order = np.argsort(-many, kind="stable")[:_MOST_SCENES]
        centre, directions = _principal(catalog.embedding)
        return cls(
            terms=tuple(attribute_terms(catalog)),
            categories=tuple(str(catalog.category_names[c]) for c in sorted(frequent.tolist())),
            scenes=tuple(sorted(str(scene[i]) for i in order)),
            centre=centre,
            directions=directions,
        )

    def context(self, decisions: Decisions) -> Floats:
        """What is the same for all candidates: scene, place in the list, length of the history.

        float64, shape (n, scenes + 3).
        """
        pairs = distinct_pairs(decisions)
        return self._context(decisions, pairs.states.looked_back_on().lengths[pairs.state])

    def _context(self, decisions: Decisions, entries: NDArray[np.int64]) -> Floats:
        scene = decisions.scene.astype(str)
        columns = [(scene == s).astype(np.float64) for s in self.scenes]
        columns.append(np.log(np.maximum(decisions.position, 1).astype(np.float64)))
        columns.append((decisions.position <= 1).astype(np.float64))
        columns.append(np.log1p(entries.astype(np.float64)))
        return np.stack(columns, axis=1)

    def features(self, decisions: Decisions) -> Floats:
        """What differs between candidates, float64, shape (N, d).

        Attributes, categories and embedding of the item; how the history speaks for it; how alike
        it is to the items above; and the products of the context with attributes and history.
        """
        items = self._seen.of(decisions.catalog, self._look)
        codes, row = decisions.candidates.values, rows(decisions.offsets)
        pairs = distinct_pairs(decisions)
        entries = Entries.of(pairs.states)
        shown = _means(entries.items, items.vectors, np.ones(len(entries.values)))
        history = _history(pairs.states.candidates, items, entries, shown)[pairs.pair]
        main = np.concatenate(
            [items.attributes[codes], history, _likeness_above(decisions, items)], axis=1
        )
        context = self._context(decisions, entries.items.lengths[pairs.state])[row]
        products = (main[:, :, None] * context[:, None, :]).reshape(len(main), -1)
        vectors = items.vectors[codes]
        return np.concatenate(
            [
                main,
                items.categories[codes],
                vectors,
                vectors * shown[pairs.state[row]],
                products,
            ],
            axis=1,
        )

    def _look(self, catalog: Catalog) -> _ItemsSeen:
        columns = [term_column(catalog, t) for t in self.terms]
        vectors = self._vectors(catalog)
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        return _ItemsSeen(
            attributes=np.stack(columns or [np.zeros(len(catalog))], axis=1),
            categories=self._categories(catalog),
            vectors=vectors,
            unit=vectors / np.where(length > 0, length, 1.0),
        )

    def _vectors(self, catalog: Catalog) -> Floats:
        if catalog.embedding is None or self.directions.shape[1] == 0:
            return np.zeros((len(catalog), self.directions.shape[1]))
        projected: Floats = (catalog.embedding.astype(np.float64) - self.centre) @ self.directions
        return projected

    def _categories(self, catalog: Catalog) -> Floats:
        place = {name: j for j, name in enumerate(self.categories)}
        column = np.array([place.get(str(n), -1) for n in catalog.category_names], np.int64)
        out = np.zeros((len(catalog), len(self.categories)))
        if len(catalog.categories.values):
            code = column[catalog.categories.values]
            known = code >= 0
            out[catalog.categories.row[known], code[known]] = 1.0
        return out


def _history(candidates: Ragged, items: _ItemsSeen, entries: Entries, shown: Floats) -> Floats:
    """How the history speaks for each pair of a state and a candidate, float64, shape (P, 4).

    Args:
        candidates: of distinct states.
        items: the catalogue.
        entries: what the states look back on.
        shown: mean vector of these, one row a state.
    """
    out = np.zeros((len(candidates.values), 4))
    if items.vectors.shape[1] == 0:
        return out
    row, own = candidates.row, items.vectors[candidates.values]
    width = items.vectors.shape[1] ** 0.5
    known = np.nan_to_num(entries.values[:, 0], nan=0.0).astype(np.float64)
    for j, mean in enumerate((shown, _means(entries.items, items.vectors, known))):
        out[:, j] = (own * mean[row]).sum(axis=1) / width
    out[:, 2:] = attention_features(
        candidates, entries, [Kernels(items.unit, (_TEMPERATURE,), (_PRIOR,))]
    )
    return out


def _likeness_above(decisions: Decisions, items: _ItemsSeen) -> Floats:
    """Likeness of each candidate to the items above, by vectors and categories, shape (N, 2)."""
    out = np.zeros((len(decisions.candidates.values), 2))
    many = len(decisions.above.values)
    if many == 0:
        return out
    if items.unit.shape[1]:
        above = _means(decisions.above, items.unit, np.ones(many))[rows(decisions.offsets)]
        out[:, 0] = (items.unit[decisions.candidates.values] * above).sum(axis=1)
    out[:, 1] = _overlap(decisions)
    return out


def _means(items: Ragged, vectors: Floats, value: Floats) -> Floats:
    total = segment_sum(vectors[items.values] * value[:, None], items.offsets)
    return total / (items.lengths + _PRIOR)[:, None]


def _overlap(decisions: Decisions) -> Floats:
    """Share of the items above that have a category of the candidate, float64, shape (N,)."""
    above, categories = decisions.above, decisions.catalog.categories
    out = np.zeros(len(decisions.candidates.values))
    names = len(decisions.catalog.category_names)
    touched = np.flatnonzero(above.lengths > 0)
    if names == 0 or len(touched) == 0:
        return out
    # Only the decisions below another slot, so that first slots cost nothing.
    part = decisions.take(touched)
    seen = categories.take(part.above.values.astype(np.int64))
    count = np.zeros((len(part), names))
    np.add.at(count, (part.above.row[seen.row], seen.values), 1.0)
    own = categories.take(part.candidates.values.astype(np.int64))
    of = rows(part.offsets)
    best = np.zeros(len(part.candidates.values))
    np.maximum.at(best, own.row, count[of[own.row], own.values])
    flat = np.repeat(decisions.offsets[touched] - part.offsets[:-1], np.diff(part.offsets))
    out[flat + np.arange(len(best))] = best / part.above.lengths[of]
    return out


def _principal(embedding: NDArray[np.float32] | None) -> tuple[Floats, Floats]:
    """Mean and principal directions of the items' vectors, each scaled to unit variance."""
    if embedding is None or len(embedding) < 2:
        return np.zeros(0), np.zeros((0, 0))
    centre = embedding.mean(axis=0, dtype=np.float64)
    spread = np.zeros((len(centre), len(centre)))
    for start in range(0, len(embedding), 4096):
        block = embedding[start : start + 4096].astype(np.float64) - centre
        spread += block.T @ block
    value, vector = np.linalg.eigh(spread / len(embedding))
    kept = np.argsort(-value)[:_MOST_DIRECTIONS]
    kept = kept[value[kept] > 1e-9 * max(float(value.max()), 1e-12)]
    # An eigenvector has no sign of its own; the largest entry's makes it one of the two.
    sign = np.sign(vector[np.abs(vector[:, kept]).argmax(axis=0), kept])
    return centre, vector[:, kept] * sign / np.sqrt(value[kept])
