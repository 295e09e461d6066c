"""A softmax over item attributes: the clone of a logger that ranks by what items are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from mrlm.bandit_log import BanditLog, Catalog, Decisions
from mrlm.bandit_log.ragged import rows, segment_log_softmax, segment_sum
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
            item_logit += term.coefficient * _column(decisions.catalog, term)
        return segment_log_softmax(item_logit[decisions.candidates.values], decisions.offsets)

    def log_probabilities(self, decisions: Decisions) -> NDArray[np.float64]:
        """The same mixed with the floor, float64, shape (N,)."""
        return with_floor(self.core_log_probabilities(decisions), decisions.offsets, self.floor)


def fit_item_softmax(log: BanditLog, ridge: float = 1e-8) -> ItemSoftmax:
    """Clone the logging policy from its log.

    Minimises the cross-entropy to the logged candidate propensities where every row has them, and
    to the shown actions (maximum likelihood) otherwise.

    Args:
        log: decisions of one logging policy; not empty.
        ridge: penalty on the squared coefficients, which keeps collinear attributes apart.

    Raises:
        ValueError: the log is empty.
    """
    if len(log) == 0:
        raise ValueError("no decisions to clone the logger from: no passed night has a bandit log")
    decisions = log.decisions
    offsets, codes = decisions.offsets, decisions.candidates.values
    terms = [_term(decisions.catalog, a) for a in sorted(decisions.catalog.attributes)]
    x = np.stack([_column(decisions.catalog, t)[codes] for t in terms] or [np.zeros(len(codes))], 1)
    target = log.candidate_propensity
    if not np.isfinite(target).all():
        target = np.zeros(len(codes))
        target[log.shown] = 1.0
    row = rows(offsets)
    uniform = (1.0 / np.diff(offsets))[row]

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        coefficient, floor = parameters[:-1], float(expit(parameters[-1]))
        p = np.exp(segment_log_softmax(x @ coefficient, offsets))
        mixed = (1.0 - floor) * p + floor * uniform
        ratio = target / mixed
        value = -float(target @ np.log(mixed)) / len(log) + ridge * float(coefficient @ coefficient)
        push = (1.0 - floor) * ratio * p
        centred = x - segment_sum(p[:, None] * x, offsets)[row]
        gradient = -(push @ centred) / len(log) + 2.0 * ridge * coefficient
        d_floor = -float(ratio @ (uniform - p)) * floor * (1.0 - floor) / len(log)
        return value, np.append(gradient, d_floor)

    # A third of every command's start, and only fitting needs it.
    from scipy.optimize import minimize

    start = np.append(np.zeros(x.shape[1]), -2.0)
    options = {"maxiter": 500, "ftol": 1e-15, "gtol": 1e-10}
    fit = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    fitted = tuple(
        Term(t.attribute, t.log, t.centre, t.scale, float(c))
        for t, c in zip(terms, fit.x[:-1], strict=False)
    )
    return ItemSoftmax(terms=fitted, floor=float(expit(fit.x[-1])))


def attribute_columns(catalog: Catalog) -> NDArray[np.float64]:
    """Every item attribute, standardised over the catalogue, float64, shape (items, attributes).

    Logarithms of attributes of a wide range; 0 for items without the attribute.
    """
    columns = [_column(catalog, _term(catalog, a)) for a in sorted(catalog.attributes)]
    return np.stack(columns, axis=1) if columns else np.zeros((len(catalog), 0))


def _term(catalog: Catalog, attribute: str) -> Term:
    x = catalog.attributes[attribute]
    known = x[np.isfinite(x)]
    log = len(known) > 0 and known.min() > 0 and known.max() / known.min() >= _LOG_RANGE
    known = np.log(known) if log else known
    centre = float(known.mean()) if len(known) else 0.0
    scale = float(known.std()) if len(known) else 1.0
    return Term(attribute, bool(log), centre, scale if scale > 0 else 1.0, 0.0)


def _column(catalog: Catalog, term: Term) -> NDArray[np.float64]:
    """The term's (x - centre) / scale of every item; 0 for items without the attribute."""
    x = catalog.attributes.get(term.attribute)
    if x is None:
        return np.zeros(len(catalog))
    if term.log:
        x = np.log(np.maximum(x, np.finfo(np.float64).tiny))
    return np.nan_to_num((x - term.centre) / term.scale, nan=0.0)
