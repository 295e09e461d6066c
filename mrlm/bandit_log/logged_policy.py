"""The policy that made the log, as far as the log tells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.bandit_log import BanditLog


def logging_log_probabilities(log: BanditLog) -> NDArray[np.float64]:
    """Log propensity of every candidate, shape (N,); uniform in rows that did not log them all."""
    lengths = log.decisions.candidates.lengths
    row = log.decisions.candidates.row
    p = log.candidate_propensity
    bad = np.bincount(row, weights=~(np.isfinite(p) & (p > 0)), minlength=len(log)) > 0
    uniform = (1.0 / np.maximum(lengths, 1))[row]
    return np.log(np.where(bad[row], uniform, p))
