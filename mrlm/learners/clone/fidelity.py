"""How close a policy is to the logger, on users that it was not fitted on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.ragged import segment_max
from mrlm.learners.clone.targets import divergence, log_loss, targets_of
from mrlm.ope import (
    Estimate,
    EvaluationBatch,
    EvaluationState,
    Thresholds,
    difference,
    estimates,
    logger_scores,
)
from mrlm.ope.estimators.snips import SNIPS

# By Pinsker's inequality at most 3.2 % of what is shown then differs.
MOST_DIVERGENCE = 2e-3
# Where the value is shown to be the logger's, so much may differ beside it.
MOST_DIVERGENCE_AT_VALUE = 1e-2
# The interval of the difference must reach into this share of the logger's value; where it lies
# within it, the value is shown to be the logger's.
MOST_VALUE_GAP = 0.01


@dataclass(frozen=True)
class Fidelity:
    """A clone beside its logger on held-out users.

    Attributes:
        rows: decisions.
        users: distinct ones.
        log_loss: mean cross-entropy to what the rows tell, nats.
        divergence: mean Kullback-Leibler divergence from the logger, nats; None where no row tells
            a probability.
        top_clone: mean of the clone's largest probability in a decision; where the logger's is not
            known, of its probability of the shown item.
        top_logger: the same of the logger; None where no row tells a probability.
        north_star: name of the objective.
        logger: its mean observed reward, with interval; None where no row tells a propensity.
        difference: clone - logger, paired (self-normalised importance weighting); None likewise.
    """

    rows: int
    users: int
    log_loss: float
    divergence: float | None
    top_clone: float
    top_logger: float | None
    north_star: str
    logger: Estimate | None
    difference: Estimate | None

    @property
    def shortfalls(self) -> tuple[str, ...]:
        """By how much the clone misses the logger, in words; empty where it reproduces it."""
        found = []
        if self.divergence is None:
            found.append("the log tells no probability to compare with")
        else:
            most = MOST_DIVERGENCE_AT_VALUE if self._shown_equal() else MOST_DIVERGENCE
            if not self.divergence <= most:
                found.append(
                    f"its divergence from the logger is {self.divergence:.2g} nats a decision "
                    f"(at most {most:g})"
                )
        missing = self._missing_value()
        if missing:
            found.append(
                f"its {self.north_star} misses the logger's by at least {missing:.2g}, beyond "
                f"{MOST_VALUE_GAP:.0%} of it"
            )
        return tuple(found)

    @property
    def text(self) -> str:
        """The figures in one line."""
        told = []
        if self.divergence is not None and self.top_logger is not None:
            told.append(f"divergence {self.divergence:.2g} nats")
            told.append(f"top probability {self.top_clone:.3f} (logger {self.top_logger:.3f})")
        else:
            told.append(f"log loss {self.log_loss:.3f} nats")
        if self.logger is not None and self.difference is not None:
            told.append(f"{self.north_star} of the logger {self.logger.value:.4g}")
            d = self.difference
            told.append(
                f"clone - logger {d.value:+.2g} [{d.lower:+.2g}, {d.upper:+.2g}]"
                if d.certified
                else f"clone - logger {d.value:+.2g} (no interval: {d.certificate.reasons[0]})"
            )
        return f"{', '.join(told)}, on {self.rows} decisions of {self.users} held-out users"

    def _shown_equal(self) -> bool:
        """Whether the interval of the difference lies within the accepted gap."""
        d, logger = self.difference, self.logger
        if d is None or logger is None or not d.certified:
            return False
        return max(abs(d.lower), abs(d.upper)) <= MOST_VALUE_GAP * abs(logger.value)

    def _missing_value(self) -> float:
        """How far the interval of the difference lies beyond the accepted gap, 0 or more."""
        d, logger = self.difference, self.logger
        if d is None or logger is None or not d.certified:
            return 0.0
        margin = MOST_VALUE_GAP * abs(logger.value)
        return max(0.0, d.lower - margin, -margin - d.upper)


def fidelity_of(
    log: BanditLog,
    log_probability: NDArray[np.float64],
    north_star: str,
    level: float,
    thresholds: Thresholds | None = None,
) -> Fidelity:
    """Compare a clone with the logger on decisions that it was not fitted on.

    Args:
        log: the held-out decisions; not empty.
        log_probability: the clone's, shape (N,).
        north_star: objective whose value is compared.
        level: two-sided, of the intervals.
        thresholds: of their certification.
    """
    targets = targets_of(log)
    apart = divergence(targets, log_probability)
    known = np.isfinite(apart)
    largest = segment_max(np.exp(log_probability), targets.offsets)
    own = np.exp(log_probability[log.shown])
    top_clone = np.where(targets.whole, largest, own)
    top_logger = np.where(
        targets.whole, segment_max(targets.probability, targets.offsets), targets.propensity
    )
    logger, paired = _values(log, log_probability, north_star, level, thresholds)
    return Fidelity(
        rows=len(log),
        users=len(set(log.decisions.user)),
        log_loss=float(log_loss(targets, log_probability).mean()),
        divergence=float(apart[known].mean()) if known.any() else None,
        top_clone=float((top_clone[known] if known.any() else largest).mean()),
        top_logger=float(top_logger[known].mean()) if known.any() else None,
        north_star=north_star,
        logger=logger,
        difference=paired,
    )


def _values(
    log: BanditLog,
    log_probability: NDArray[np.float64],
    north_star: str,
    level: float,
    thresholds: Thresholds | None,
) -> tuple[Estimate | None, Estimate | None]:
    """The logger's value and the paired difference to it, on the rows with a propensity."""
    with_propensity = np.isfinite(log.propensity)
    rewarded = log.final[:, log.column(north_star)] & with_propensity
    if not rewarded.any():
        return None, None
    flat = np.repeat(with_propensity, np.diff(log.decisions.offsets))
    part = log.where(with_propensity)
    batch = EvaluationBatch.from_log(part, np.exp(log_probability[flat]), policy="clone")
    estimator = SNIPS()
    logger = logger_scores(batch, estimator)
    paired = difference(estimator(batch), logger)
    return tuple(  # type: ignore[return-value]
        estimates(EvaluationState.of(s), level, thresholds)[north_star] for s in (logger, paired)
    )
