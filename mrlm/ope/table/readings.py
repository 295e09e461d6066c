"""How a table's rows become what estimators take, and which estimators its columns allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mrlm.ope.estimators.dm import DM
from mrlm.ope.estimators.dr import DR
from mrlm.ope.estimators.ips import IPS
from mrlm.ope.estimators.sndr import SNDR
from mrlm.ope.estimators.snips import SNIPS
from mrlm.ope.rounds import Rounds
from mrlm.ope.scores import Scores
from mrlm.ope.sequential import FQE, PerDecisionIS, SequentialDR, TrajectoryIS
from mrlm.ope.sequential.contract import SequentialEstimator
from mrlm.ope.sequential.steps import labelled
from mrlm.ope.slates import SLATE_ESTIMATORS
from mrlm.ope.table.columns import Columns
from mrlm.ope.table.layout import SESSION
from mrlm.ope.table.places import Places
from mrlm.ope.table.slate_columns import NEED_UNIFORM_RANKINGS, refused_slates
from mrlm.ope.table.to_logged import Numbered, to_logged
from mrlm.ope.table.to_rounds import to_sessions, to_slates
from mrlm.ope.table.tuned import Tuning, families, tuned_name, tunes

# Ratios of the self-normalised sums over steps: more are narrower, and cost more. Folded users keep
# the fourth moments of twice as many sums a policy, so that a difference of two policies costs the
# fourth power of four times this.
TERMS = 6


class TableEstimator(Protocol):
    """An estimator that reads no candidate but the shown one."""

    @property
    def name(self) -> str:
        """Name in the registry and in tables."""
        ...

    def __call__(self, batch: Rounds) -> Scores:
        """Scores of every round and objective."""
        ...


@dataclass
class Reading:
    """One pass over the batches of a table.

    Attributes:
        columns: what the columns mean.
        kind: of the propensities of slates.
        estimators: name to estimator, in the order of tables.
        refused: name to the reason why the columns do not allow it, likewise.
        names: both, in the order of tables.
        tuning: the estimators among them whose parameter was tuned.
    """

    columns: Columns
    kind: str | None = None
    estimators: dict[str, Callable[[Any], Scores]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    tuning: Tuning = field(default_factory=Tuning)
    _first: int | None = None

    def with_tuning(self, tuning: Tuning) -> None:
        """Add estimators that were tuned on one half of the users, to be judged on the other."""
        self.tuning = tuning
        self.estimators |= {e.name: e for e in tuning.estimators}
        self.refused |= tuning.refused
        self.names += [tuned_name(f) for f in families(bool(self.columns.q and self.columns.v))]

    def rounds(self, rows: Numbered) -> list[Any]:
        """The rounds of a batch under each policy: logged rows, slates or sessions.

        Raises:
            ValueError: a value is wrong; row and column are named.
        """
        number, part = rows
        logged = to_logged(part, self.columns, number)
        if self.columns.layout.round_id is None:
            return [*logged]
        places = Places.of(rows, self.columns, logged[0].cluster, self._first)
        self._first = places.first
        if self.kind is None:
            return [to_sessions(table, places) for table in logged]
        return [to_slates(table, part, self.columns, places, self.kind) for table in logged]

    def judged(self, rounds: Sequence[Any]) -> list[Any]:
        """The rounds of users that did not tune; none where nothing was tuned."""
        if not self.tuning.estimators:
            return []
        others = ~tunes(rounds[0].cluster)
        return [table.take(others) for table in rounds]

    def scores(self, name: str, rounds: Sequence[Any]) -> list[Scores]:
        """Scores of an estimator under each policy; none where the log turns out not to be for it.

        Such an estimator is refused from then on.
        """
        try:
            return [self.estimators[name](x) for x in rounds]
        except ValueError as error:
            if name not in NEED_UNIFORM_RANKINGS:
                raise
            # The row is one of the batch, not of the file.
            self.refused[name] = str(error).partition(": ")[2] or str(error)
            del self.estimators[name]
            return []


def reading(columns: Columns, kind: str | None, discount: float) -> Reading:
    """The estimators that columns allow, and why not the others.

    Args:
        columns: of the table.
        kind: of the propensities of slates; None where the rows are none.
        discount: factor a step of a session on later rewards.

    Raises:
        ValueError: the discount is not in (0, 1].
    """
    found: Mapping[str, Callable[[Any], Scores]]
    if kind is not None:
        refused = refused_slates(columns, kind)
        found = {n: e for n, e in SLATE_ESTIMATORS.items() if n not in refused}
        return Reading(columns, kind, dict(found), refused, [*SLATE_ESTIMATORS])
    if columns.layout.round == SESSION:
        every = {labelled(e.name, discount): e for e in _sequential(discount)}
        refused = {
            n: f"{n} needs the columns q_hat and v_hat, predicted sums of the rewards from a step "
            "on"
            for n, e in every.items()
            if e.needs_q and not (columns.q and columns.v)
        }
        found = {n: e for n, e in every.items() if n not in refused}
        return Reading(columns, None, dict(found), refused, [*every])
    rounds = {e.name: e for e in possible(columns)}
    return Reading(columns, None, dict(rounds), {}, [*rounds])


def possible(columns: Columns) -> list[TableEstimator]:
    """The estimators of decisions that a table of these columns allows."""
    found: list[TableEstimator] = [IPS(), SNIPS()]
    if columns.v:
        found.append(DM())
    if columns.v and columns.q:
        found += [DR(), SNDR()]
    return found


def _sequential(discount: float) -> list[SequentialEstimator]:
    return [
        TrajectoryIS(discount),
        TrajectoryIS(discount, self_normalised=True),
        PerDecisionIS(discount),
        PerDecisionIS(discount, self_normalised=True, terms=TERMS),
        SequentialDR(discount),
        SequentialDR(discount, self_normalised=True, terms=TERMS),
        FQE(discount),
    ]
