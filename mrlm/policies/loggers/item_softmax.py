"""A softmax over item attributes: the clone of a logger that ranks by what items are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Catalog, Decisions
from mrlm.bandit_log.ragged import segment_log_softmax
from mrlm.policies.floor import with_floor

# An attribute whose largest value is this many times its smallest is taken on a log scale.
_LOG_RANGE = 10.0


@dataclass(frozen=True)
class Term:
    """One attribute's part of the logit: coefficient · (x - centre) / scale.

    Attributes:
        attribute: name of the item attribute.
        log: whether x is the attribute's logarithm.
        centre: of x over the catalogue.
        scale: of x over the catalogue.
        coefficient: fitted.
    """

    attribute: str
    log: bool
    centre: float
    scale: float
    coefficient: float


@dataclass(frozen=True)
class ItemSoftmax:
    """Softmax over a linear function of item attributes, with one exploration floor."""

    terms: tuple[Term, ...]
    floor: float
    name: str = "logger"

    def core_log_probabilities(self, decisions: Decisions) -> NDArray[np.float64]:
        """Log softmax of the attributes' logit, float64, shape (N,)."""
        item_logit = np.zeros(len(decisions.catalog))
        for term in self.terms:
            item_logit += term.coefficient * term_column(decisions.catalog, term)
        return segment_log_softmax(item_logit[decisions.candidates.values], decisions.offsets)

    def log_probabilities(self, decisions: Decisions) -> NDArray[np.float64]:
        """The same mixed with the floor, float64, shape (N,)."""
        return with_floor(self.core_log_probabilities(decisions), decisions.offsets, self.floor)


def attribute_columns(catalog: Catalog) -> NDArray[np.float64]:
    """Every item attribute, standardised over the catalogue, float64, shape (items, attributes).

    Logarithms of attributes of a wide range; 0 for items without the attribute.
    """
    columns = [term_column(catalog, t) for t in attribute_terms(catalog)]
    return np.stack(columns, axis=1) if columns else np.zeros((len(catalog), 0))


def attribute_terms(catalog: Catalog) -> list[Term]:
    """A term of coefficient 0 for every item attribute, by name."""
    return [_term(catalog, a) for a in sorted(catalog.attributes)]


def _term(catalog: Catalog, attribute: str) -> Term:
    x = catalog.attributes[attribute]
    known = x[np.isfinite(x)]
    log = len(known) > 0 and known.min() > 0 and known.max() / known.min() >= _LOG_RANGE
    known = np.log(known) if log else known
    centre = float(known.mean()) if len(known) else 0.0
    scale = float(known.std()) if len(known) else 1.0
    return Term(attribute, bool(log), centre, scale if scale > 0 else 1.0, 0.0)


def term_column(catalog: Catalog, term: Term) -> NDArray[np.float64]:
    """The term's (x - centre) / scale of every item; 0 for items without the attribute."""
    x = catalog.attributes.get(term.attribute)
    if x is None:
        return np.zeros(len(catalog))
    if term.log:
        x = np.log(np.maximum(x, np.finfo(np.float64).tiny))
    return np.nan_to_num((x - term.centre) / term.scale, nan=0.0)
