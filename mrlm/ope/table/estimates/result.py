"""TableEvaluation: what a table says of its policies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mrlm.ope.intervals import Estimate
from mrlm.ope.table.columns.layout import DECISION, SESSION, SLATE
from mrlm.ope.table.estimates.histogram import WeightHistogram

# The order of choice: the first that is certified. It looks at no value.
PREFERRED: dict[str, tuple[str, ...]] = {
    DECISION: ("dr", "snips", "ips"),
    SLATE: ("snsips", "sips"),
    SESSION: (
        "sequential_dr",
        "sn_per_decision_is",
        "per_decision_is",
        "sn_trajectory_is",
        "trajectory_is",
    ),
}
_KEYS = (
    "policy",
    "objective",
    "estimator",
    "value",
    "lower",
    "upper",
    "level",
    "certified",
    "reason",
    "rows_needed",
)


@dataclass(frozen=True)
class TableEvaluation:
    """What a table says of its policies.

    Attributes:
        estimates: of every policy, objective and estimator, in this order; those that the table
            does not allow have no value and say why. Their rows are decisions, slates or sessions.
        differences: of every pair of policies, of the estimators that it allows.
        selected: objective to the first of ``PREFERRED`` that is certified for every policy; None
            where there is none.
        weights: policy to the histogram of its importance weights.
        rows: rows read.
        unit: column of the unit of independence; None where each row is its own.
        warnings: what limits the result, in sentences.
        round: what the value is of: a ``decision``, ``slate`` or ``session``.
        tuned: policy, objective and estimator to the members of its family that were chosen, for
            one half of the users and for the other.
        preferred: names of the estimators in the order of choice.
    """

    estimates: tuple[Estimate, ...]
    differences: tuple[Estimate, ...]
    selected: Mapping[str, str | None]
    weights: Mapping[str, WeightHistogram]
    rows: int
    unit: str | None
    warnings: tuple[str, ...]
    round: str = DECISION
    tuned: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    preferred: tuple[str, ...] = ()

    def best(self, found: Sequence[Estimate]) -> Estimate:
        """Of one policy and objective, one or more, the estimate to take.

        The one that is selected for the objective, else the first of ``preferred`` that is
        certified, else the first of them that has a value, whose certificate says why not.
        """
        names = [n for n in (self.selected.get(found[0].objective), *self.preferred) if n]

        def rank(e: Estimate) -> tuple[bool, bool, int]:
            place = names.index(e.estimator) if e.estimator in names else len(names)
            certified = e.certified and place < len(names)
            return not certified, not e.diagnostics, place

        return min(found, key=rank)

    @property
    def rounds(self) -> str:
        """What an estimate counts as its rows, in the plural."""
        return "rows" if self.round == DECISION else f"{self.round}s"

    @property
    def overlap(self) -> list[dict[str, str | int | float | None]]:
        """Diagnostics of each policy and objective, and whose weights and rows they are of.

        Estimators of decisions share them; those of whole slates and of single slots do not.
        """
        found: dict[tuple[tuple[str, str | int | float | None], ...], list[str]] = {}
        for e in self.estimates:
            for d in e.diagnostics:
                found.setdefault(tuple(d.to_json().items()), []).append(e.estimator)
        return [{**dict(row), "estimators": ", ".join(names)} for row, names in found.items()]

    def to_json(self) -> dict[str, object]:
        """``estimates``, ``differences``, ``diagnostics`` and ``selected``, plain values only."""
        return {
            "estimates": [self._row(e) for e in self.estimates],
            "differences": [self._row(e) for e in self.differences],
            "diagnostics": {
                "rows": self.rows,
                "unit": self.unit or "row",
                "overlap": self.overlap,
                "weights": {p: h.to_json() for p, h in self.weights.items()},
                "tuned": self.tuned,
                "warnings": list(self.warnings),
            },
            "selected": dict(self.selected),
        }

    def _row(self, e: Estimate) -> dict[str, object]:
        whole = e.to_json()
        return {**{key: whole[key] for key in _KEYS}, "estimand": f"per {self.round}"}


def selected(found: Sequence[Estimate], preferred: Sequence[str]) -> str | None:
    """The first of the preferred that is certified in every estimate of its name."""
    for name in preferred:
        mine = [e for e in found if e.estimator == name]
        if mine and all(e.certified for e in mine):
            return name
    return None
