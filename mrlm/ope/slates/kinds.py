"""What the propensity of a shown slot can be, and what to log for an estimator that needs it."""

from __future__ import annotations

CONDITIONAL = "conditional"
MARGINAL = "marginal"
SLATE = "slate"
INDEPENDENT = "independent"
EXPOSURE = "exposure"

# Completes "log ...".
WHAT_TO_LOG: dict[str, str] = {
    CONDITIONAL: "the probability of each shown item at its position given the items above it",
    MARGINAL: "the probability of each shown item at its position over all lists",
    SLATE: "the probability of the whole list, the same in each of its rows",
    INDEPENDENT: "the probability of each shown item in its slot, from a logger that draws the "
    "slots independently of one another",
    EXPOSURE: "the probability of each shown item at every position, and make expected "
    "examinations of it with expected_examination",
}


def kind_problem(estimator: str, accepted: tuple[str, ...], kind: str) -> str | None:
    """Why an estimator cannot use propensities of a kind, and what to log; None where it can."""
    if kind in accepted:
        return None
    return (
        f"{estimator} needs propensities of kind {' or '.join(accepted)}; these are {kind}: "
        f"log {WHAT_TO_LOG[accepted[0]]} (propensity_kind={accepted[0]})"
    )


def require_kind(estimator: str, accepted: tuple[str, ...], kind: str) -> None:
    """Check that the propensities are of a kind that the estimator can use.

    Raises:
        ValueError: they are not; the message says what to log.
    """
    problem = kind_problem(estimator, accepted, kind)
    if problem is not None:
        raise ValueError(problem)
