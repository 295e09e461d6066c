"""How a table's rows become what estimators take, and which estimators its columns allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from mrlm.ope.checks import RowError
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
from mrlm.ope.table.columns.columns import Columns
from mrlm.ope.table.columns.layout import SESSION
from mrlm.ope.table.estimates.slate_columns import NEED_UNIFORM_RANKINGS, refused_slates
from mrlm.ope.table.estimates.tuned_estimators import FAMILIES, FROM_WEIGHTS, Tuning, tuned_name
from mrlm.ope.table.rounds.numbered import Numbered
from mrlm.ope.table.rounds.places import Places
from mrlm.ope.table.rounds.to_logged import to_logged
from mrlm.ope.table.rounds.to_rounds import to_sessions, to_slates

# Ratios of the self-normalised sums over steps: more are narrower, and cost more. Folded users keep
# the fourth moments of twice as many sums a policy, so that a difference of two policies costs the
# fourth power of four times this.
TERMS = 6

_DECISION = (IPS(), SNIPS(), DM(), DR(), SNDR())


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
        families: of estimators to be tuned, see ``with_tuning``.
        doubly_robust: whichever estimators are asked for, the one whose scores say whether v_hat is
            the expectation of q_hat; None without both columns.
        tuning: the estimators among them whose parameter was tuned.
    """

    columns: Columns
    kind: str | None = None
    estimators: dict[str, Callable[[Any], Scores]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    families: list[str] = field(default_factory=list)
    doubly_robust: Callable[[Any], Scores] | None = None
    tuning: Tuning = field(default_factory=Tuning)
    _first: int | None = None

    def with_tuning(self, tuning: Tuning) -> None:
        """Add estimators whose parameter was tuned for each half of the users on the other."""
        self.tuning = tuning
        self.estimators |= {e.name: e for e in tuning.estimators}
        self.refused |= tuning.refused

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

    def scores(self, name: str, rounds: Sequence[Any]) -> list[Scores]:
        """Scores of an estimator under each policy; none where the log turns out not to be for it.

        Such an estimator is refused from then on.
        """
        try:
            return [self.estimators[name](x) for x in rounds]
        except RowError as error:
            if name not in NEED_UNIFORM_RANKINGS:
                raise
            # The row is one of the batch, not of the file.
            self.refused[name] = error.problem
            del self.estimators[name]
            return []


def reading(
    columns: Columns, kind: str | None, discount: float, names: Sequence[str] | None = None
) -> Reading:
    """The estimators that are asked for and that columns allow, and why not the others.

    Args:
        columns: of the table.
        kind: of the propensities of slates; None where the rows are none.
        discount: factor a step of a session on later rewards.
        names: of the estimators; None takes all whose parameters need no tuning.

    Raises:
        ValueError: the discount is not in (0, 1], or a name is not one of the estimators.
    """
    if kind is not None:
        return _only(_slates(columns, kind), names)
    if columns.layout.round == SESSION:
        return _only(_sessions(columns, discount), names)
    return _decisions(columns, names)


def _slates(columns: Columns, kind: str) -> Reading:
    refused = refused_slates(columns, kind)
    found = {n: e for n, e in SLATE_ESTIMATORS.items() if n not in refused}
    cascade = found.get("cascade_dr")
    return Reading(columns, kind, dict(found), refused, [*SLATE_ESTIMATORS], doubly_robust=cascade)


def _sessions(columns: Columns, discount: float) -> Reading:
    predicted = bool(columns.q and columns.v)
    every = {labelled(e.name, discount): e for e in _sequential(discount)}
    refused = {
        n: f"{n} needs the columns q_hat and v_hat, predicted sums of the rewards from a step on"
        for n, e in every.items()
        if e.needs_q and not predicted
    }
    found = {n: e for n, e in every.items() if n not in refused}
    robust = SequentialDR(discount) if predicted else None
    return Reading(columns, None, dict(found), refused, [*every], doubly_robust=robust)


def _decisions(columns: Columns, names: Sequence[str] | None) -> Reading:
    found = {e.name: e for e in possible(columns)}
    robust = DR() if columns.q and columns.v else None
    if names is None:
        # Without predictions nobody asks for what needs them.
        return Reading(columns, None, dict(found), {}, [*found], doubly_robust=robust)
    _check_known(names, [*(e.name for e in _DECISION), *FAMILIES])
    wanted = [e.name for e in _DECISION if e.name in names]
    tuned = [f for f in FAMILIES if f in names]
    families = [f for f in tuned if robust is not None or f in FROM_WEIGHTS]
    lacking = [n for n in wanted if n not in found]
    lacking += [tuned_name(f) for f in tuned if f not in families]
    return Reading(
        columns,
        None,
        {n: e for n, e in found.items() if n in wanted},
        {n: f"{n} needs {_needed(n)}" for n in lacking},
        wanted + [tuned_name(f) for f in tuned],
        families,
        robust,
    )


def possible(columns: Columns) -> list[TableEstimator]:
    """The estimators of decisions, none of which needs tuning, that these columns allow."""
    found: list[TableEstimator] = [IPS(), SNIPS()]
    if columns.v:
        found.append(DM())
    if columns.v and columns.q:
        found += [DR(), SNDR()]
    return found


def _needed(name: str) -> str:
    return "the column v_hat" if name == "dm" else "the columns q_hat and v_hat"


def _only(every: Reading, names: Sequence[str] | None) -> Reading:
    """The reading with the named estimators; a name may leave out the discount."""
    if names is None:
        return every
    _check_known(names, [*every.names, *(n.partition(",")[0] for n in every.names)])
    kept = [n for n in every.names if n in names or n.partition(",")[0] in names]
    return replace(
        every,
        estimators={n: e for n, e in every.estimators.items() if n in kept},
        refused={n: r for n, r in every.refused.items() if n in kept},
        names=kept,
    )


def _check_known(names: Sequence[str], known: Sequence[str]) -> None:
    unknown = [n for n in names if n not in known]
    if unknown or not names:
        raise ValueError(
            f"unknown estimators {unknown}; of such rows there are "
            f"{', '.join(dict.fromkeys(known))}"
        )


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
