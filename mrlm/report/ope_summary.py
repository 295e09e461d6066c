"""What a reader wants first of a table's evaluation: a line a policy, and each refusal once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mrlm.messages.message import Message
from mrlm.ope.intervals import Estimate
from mrlm.ope.table import TableEvaluation

NONE_FOR_ALL = Message("no estimator is certified for every policy")


@dataclass(frozen=True)
class SummaryLine:
    """A policy, or the difference of two, in one objective.

    Attributes:
        policy: name of the policy, or ``first - second``.
        estimate: the one to take; None where none is certified.
        notes: numbers of the reasons why none is.
        reason: the first of them.
        rows_needed: see ``Certificate``.
    """

    policy: str
    estimate: Estimate | None
    notes: tuple[int, ...] = ()
    reason: str = ""
    rows_needed: int | None = None


@dataclass(frozen=True)
class ObjectiveSummary:
    """An objective's lines.

    Attributes:
        name: of the objective.
        estimator: the one that is certified for every policy; None where there is none.
        policies: a line each.
        differences: a line a pair of policies.
    """

    name: str
    estimator: str | None
    policies: tuple[SummaryLine, ...]
    differences: tuple[SummaryLine, ...]


@dataclass
class Notes:
    """Reasons of refusals, each once, numbered from 1 in the order in which they were met.

    Attributes:
        estimators: reason to the names of the estimators that it refuses.
        numbers: reason to its number.
    """

    estimators: dict[str, list[str]] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)

    def of(self, e: Estimate) -> tuple[int, ...]:
        """Numbers of the reasons why an estimate is refused."""
        for reason in e.certificate.reasons:
            names = self.estimators.setdefault(reason, [])
            if e.estimator not in names:
                names.append(e.estimator)
            self.numbers.setdefault(reason, len(self.numbers) + 1)
        return tuple(self.numbers[reason] for reason in e.certificate.reasons)


@dataclass(frozen=True)
class Summary:
    """The lines of every objective, and the notes that they refer to.

    Attributes:
        objectives: in the order of the table.
        notes: of all refusals, those of the lines first.
    """

    objectives: tuple[ObjectiveSummary, ...]
    notes: Notes

    @classmethod
    def of(cls, found: TableEvaluation) -> Summary:
        """Of an evaluation: refused estimates appear as notes only."""
        notes = Notes()
        objectives = tuple(
            ObjectiveSummary(
                name,
                estimator,
                tuple(_lines(found, found.estimates, name, notes)),
                tuple(_lines(found, found.differences, name, notes)),
            )
            for name, estimator in found.selected.items()
        )
        for e in (*found.estimates, *found.differences):
            notes.of(e)
        return cls(objectives, notes)


def _lines(
    found: TableEvaluation, rows: Sequence[Estimate], objective: str, notes: Notes
) -> Iterable[SummaryLine]:
    by_policy: dict[str, list[Estimate]] = {}
    for e in rows:
        if e.objective == objective:
            by_policy.setdefault(e.policy, []).append(e)
    for policy, mine in by_policy.items():
        best = found.best(mine)
        if best.certified:
            yield SummaryLine(policy, best)
        else:
            needed = best.certificate.rows_needed
            reasons = best.certificate.reasons
            yield SummaryLine(policy, None, notes.of(best), reasons[0] if reasons else "", needed)
