"""The loss of a softmax against what a log tells of its logger, with its gradient."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from mrlm.bandit_log.ragged import rows
from mrlm.learners.clone.targets import Targets

Floats = NDArray[np.float64]

# A policy's probability over the logged one counts up to here in full and beyond by its logarithm,
# so that one rare item cannot pull the whole fit.
_LARGEST_RATIO = 5.0
# Penalty on the squared parameters, as a share of one row: a logged distribution carries no noise,
# one probability little, a shown item alone much.
_RIDGE_WHOLE, _RIDGE_PROPENSITY, _RIDGE_SHOWN = 1e-3, 3e-2, 1.0


class Loss:
    """Mean cross-entropy to what the rows tell, plus a penalty on squared parameters.

    Where a row tells the shown item's probability p alone, c / p is added, c being the clone's: its
    expectation over what the logger shows is 1 whatever the clone, so the mean of the loss stays
    the cross-entropy, and each row then has its least value at c = p: most of the noise is gone.

    Args:
        x: float32, shape (N, d), standardised features.
        item: int64, shape (N,), place of each candidate's intercept; None without intercepts.
        context: float32, shape (n, c), for the hidden layer; None without one.
        targets: what the rows tell.
        of: rows of the whole log, of which these are a batch: the penalty is shared among them.
    """

    def __init__(
        self,
        x: NDArray[np.float32],
        item: NDArray[np.int64] | None,
        context: NDArray[np.float32] | None,
        targets: Targets,
        of: int,
    ) -> None:
        self.x, self.item, self.context, self.targets = x, item, context, targets
        lengths = np.diff(targets.offsets)
        self.n = len(lengths)
        self.row = rows(targets.offsets)
        self.starts = targets.offsets[:-1]
        self.uniform = (1.0 / lengths)[self.row]
        alone = np.isfinite(targets.propensity)
        self.alone = targets.shown[alone]
        self.log_known = np.log(targets.propensity[alone])
        hard = self.n - int(targets.known.sum())
        self.ridge = (
            _RIDGE_WHOLE * int(targets.whole.sum())
            + _RIDGE_PROPENSITY * int(alone.sum())
            + _RIDGE_SHOWN * hard
        ) / (self.n * of)

    def __call__(self, p: Mapping[str, Floats]) -> tuple[float, dict[str, Floats]]:
        """Loss and gradient by name.

        ``floor`` is the logit of the floor; ``coefficient`` (d,), and where they are ``intercept``
        (items,), ``weight`` (h, d + c), ``bias`` (h,) and ``out`` (h,).
        """
        logit = (self.x @ p["coefficient"].astype(np.float32)).astype(np.float64)
        if self.item is not None:
            logit += p["intercept"][self.item]
        hidden = None
        if self.context is not None:
            hidden = self._hidden(self.context, p)
            logit += hidden @ p["out"].astype(np.float32)
        floor = float(expit(p["floor"]))
        value, of_logit, of_floor = self._softmax(logit, floor)
        gradient = {"floor": np.array(of_floor * floor * (1.0 - floor))}
        push = of_logit.astype(np.float32)
        gradient["coefficient"] = (push @ self.x).astype(np.float64)
        if self.item is not None:
            many = len(p["intercept"])
            gradient["intercept"] = np.bincount(self.item, weights=of_logit, minlength=many)
        if hidden is not None and self.context is not None:
            gradient["out"] = (push @ hidden).astype(np.float64)
            inner = np.square(hidden)
            np.subtract(1.0, inner, out=inner)
            inner *= push[:, None]
            inner *= p["out"].astype(np.float32)
            of_row = np.add.reduceat(inner, self.starts, axis=0)
            own, shared = inner.T @ self.x, of_row.T @ self.context
            gradient["weight"] = np.concatenate([own, shared], axis=1).astype(np.float64)
            gradient["bias"] = of_row.sum(axis=0, dtype=np.float64)
        for name, values in p.items():
            if name != "floor":
                value += self.ridge * float(np.square(values).sum())
                gradient[name] = gradient[name] + 2.0 * self.ridge * values
        return value, gradient

    def _hidden(self, context: NDArray[np.float32], p: Mapping[str, Floats]) -> NDArray[np.float32]:
        d = self.x.shape[1]
        weight = p["weight"].astype(np.float32)
        shared = context @ weight[:, d:].T + p["bias"].astype(np.float32)
        hidden: NDArray[np.float32] = self.x @ weight[:, :d].T
        hidden += shared[self.row]
        np.tanh(hidden, out=hidden)
        return hidden

    def _softmax(self, logit: Floats, floor: float) -> tuple[float, Floats, float]:
        """Loss, its derivative by each logit, and by the floor."""
        weight = np.exp(logit - np.maximum.reduceat(logit, self.starts)[self.row])
        soft = weight / np.add.reduceat(weight, self.starts)[self.row]
        c = (1.0 - floor) * soft + floor * self.uniform
        log_c = np.log(c)
        target = self.targets.probability
        log_ratio = log_c[self.alone] - self.log_known
        most = np.log(_LARGEST_RATIO)
        ratio = np.exp(np.minimum(log_ratio, most))
        beyond = _LARGEST_RATIO * np.maximum(log_ratio - most, 0.0)
        value = (float((ratio + beyond).sum()) - float(target @ log_c)) / self.n
        of_log_c = -target
        of_log_c[self.alone] += ratio
        of_c = of_log_c / (c * self.n)
        of_soft = (1.0 - floor) * of_c
        centre = np.add.reduceat(soft * of_soft, self.starts)[self.row]
        of_floor = float(of_c @ (self.uniform - soft))
        return value, soft * (of_soft - centre), of_floor
