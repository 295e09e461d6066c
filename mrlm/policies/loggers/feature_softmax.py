"""A softmax over features of state and item, with item intercepts and perhaps a hidden layer."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Catalog, Decisions
from mrlm.bandit_log.last_call import LastCall
from mrlm.bandit_log.ragged import rows, segment_log_softmax
from mrlm.policies.floor import with_floor
from mrlm.policies.loggers.clone_view import CloneView

Floats = NDArray[np.float64]

# A feature farther from its mean than this many deviations counts as that far.
CLIP = 6.0
# Candidates whose features are looked at together: about 100 MiB.
BLOCK = 1 << 16


@dataclass(frozen=True)
class Hidden:
    """One hidden layer of h units: ``out . tanh(weight x + bias)``.

    Attributes:
        weight: float64, shape (h, d + c), over features and context.
        bias: float64, shape (h,).
        out: float64, shape (h,).
    """

    weight: Floats
    bias: Floats
    out: Floats


@dataclass(frozen=True)
class FeatureSoftmax:
    """softmax(intercept(item) + coefficient . features + hidden layer), with one floor.

    An item without an intercept of its own has the intercept 0: its features speak for it.

    Attributes:
        view: what is read of state and item.
        mean: float64, shape (d + c,), of features and context; they are standardised.
        scale: float64, shape (d + c,), all positive.
        coefficient: float64, shape (d,).
        item_id: str objects, shape (k,), the items that have an intercept.
        intercept: float64, shape (k,).
        hidden: the hidden layer, or None.
        floor: share of uniform exploration.
        name: for tables and logs.
    """

    view: CloneView
    mean: Floats
    scale: Floats
    coefficient: Floats
    item_id: NDArray[np.object_]
    intercept: Floats
    hidden: Hidden | None
    floor: float
    name: str = "logger"
    _core: LastCall[Decisions, Floats] = field(
        default_factory=LastCall, init=False, repr=False, compare=False
    )
    _own: LastCall[Catalog, Floats] = field(
        default_factory=LastCall, init=False, repr=False, compare=False
    )

    def core_log_probabilities(self, decisions: Decisions) -> Floats:
        """Log softmax of the logit, float64, shape (N,); kept while its last decisions live."""
        return self._core.of(decisions, self._softmax)

    def _softmax(self, decisions: Decisions) -> Floats:
        logit = self._own.of(decisions.catalog, self._by_item)[decisions.candidates.values]
        for place, part in decisions.blocks(BLOCK):
            logit[place] += self._learned(part)
        found = segment_log_softmax(logit, decisions.offsets)
        found.flags.writeable = False
        return found

    def log_probabilities(self, decisions: Decisions) -> Floats:
        """The same mixed with the floor, float64, shape (N,)."""
        return with_floor(self.core_log_probabilities(decisions), decisions.offsets, self.floor)

    def _by_item(self, catalog: Catalog) -> Floats:
        """The intercept of every item, float64, shape (items,)."""
        of_item = np.zeros(len(catalog))
        code = catalog.codes(self.item_id)
        of_item[code[code >= 0]] = self.intercept[code >= 0]
        return of_item

    def _learned(self, decisions: Decisions) -> Floats:
        d = len(self.coefficient)
        x = standardised(self.view.features(decisions), self.mean[:d], self.scale[:d])
        logit: Floats = x @ self.coefficient
        if self.hidden is not None:
            c = standardised(self.view.context(decisions), self.mean[d:], self.scale[d:])
            h = self.hidden
            # The context's part is the same for all candidates of a decision.
            shared = c @ h.weight[:, d:].T + h.bias
            logit += np.tanh(x @ h.weight[:, :d].T + shared[rows(decisions.offsets)]) @ h.out
        return logit


def standardised(x: Floats, mean: Floats, scale: Floats) -> Floats:
    """Columns less their mean over their scale, clipped, same shape."""
    out: Floats = np.clip((x - mean) / scale, -CLIP, CLIP)
    return out
