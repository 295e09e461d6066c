"""Estimators of decisions whose parameter was chosen, for each half of the users, on the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mrlm.bandit_log.user_folds import split_mix, user_folds
from mrlm.ope.choice.tuning import tune
from mrlm.ope.estimators.clipped_ips import ClippedIPS
from mrlm.ope.estimators.dr_shrinkage import DROptimistic, DRPessimistic
from mrlm.ope.estimators.shrinking import ShrinkingEstimator, label, parts
from mrlm.ope.estimators.switch_dr import SwitchDR
from mrlm.ope.rounds import Rounds
from mrlm.ope.scores import Scores, one_ratio
from mrlm.ope.table.columns.columns import Columns
from mrlm.ope.table.rounds.numbered import Numbered, joined
from mrlm.ope.table.rounds.to_logged import to_logged, users_of

# The first so many rows of the users of each half choose the parameters of the other.
TUNING_ROWS = 1 << 17
_HALVES = 2
_PARAMETERS = 24
_CLIPS = (np.inf, *np.geomspace(1e3, 1.0, _PARAMETERS).tolist())
_BELOW_ONE = (*_CLIPS, 0.5, 0.2, 0.0)
_STRENGTHS = (np.inf, *np.geomspace(1e6, 1e-2, _PARAMETERS).tolist(), 0.0)

# Members of each family, from the one that shrinks nothing to the one that shrinks most.
FAMILIES: Mapping[str, Sequence[ShrinkingEstimator]] = {
    "clipped_ips": tuple(ClippedIPS(c) for c in _CLIPS),
    "switch_dr": tuple(SwitchDR(c) for c in _BELOW_ONE),
    "dr_os": tuple(DROptimistic(s) for s in _STRENGTHS),
    "dr_ps": tuple(DRPessimistic(c) for c in _BELOW_ONE),
}
# Those that need no predictions.
FROM_WEIGHTS = ("clipped_ips",)

# The halves are not the folds that other parts cross-fit or choose by.
_SALT = 3


@dataclass(frozen=True)
class TunedEstimator:
    """A family of shrinking estimators with the member chosen for each policy and objective.

    Attributes:
        family: name of the family.
        members: for each half of the users, policy and objective to the member that the other half
            chose.
    """

    family: str
    members: tuple[Mapping[str, Mapping[str, ShrinkingEstimator]], ...]

    @property
    def name(self) -> str:
        """Name in tables."""
        return tuned_name(self.family)

    def __call__(self, batch: Rounds) -> Scores:
        """Scores of every round and objective, each by the member that other users chose."""
        half = halves(batch.cluster)
        weight = np.empty(batch.rewards.shape)
        needs_q = False
        for k, members in enumerate(self.members):
            own = half == k
            for j, objective in enumerate(batch.objectives):
                member = members[batch.policy][objective]
                needs_q = member.needs_q
                weight[own, j] = member.weights(batch.weight[own])
        offset, residual = parts(batch, needs_q)
        numerator = offset + weight * residual
        return one_ratio(self.name, False, batch, numerator, np.ones_like(numerator))


@dataclass(frozen=True)
class Tuning:
    """What tuning gives: the estimators, and why a family has none."""

    estimators: tuple[TunedEstimator, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)

    def labels(self) -> dict[str, dict[str, dict[str, str]]]:
        """Policy, objective and estimator to the member of each half of the users."""
        found: dict[str, dict[str, dict[str, str]]] = {}
        for e in self.estimators:
            for policy, members in e.members[0].items():
                for objective in members:
                    place = found.setdefault(policy, {}).setdefault(objective, {})
                    both = dict.fromkeys(label(m[policy][objective]) for m in e.members)
                    place[e.name] = " and ".join(both)
        return found


def tuned_name(family: str) -> str:
    """Name in tables of a family's chosen member."""
    return f"{family}(tuned)"


def halves(cluster: NDArray[Any]) -> NDArray[np.int64]:
    """Half of each row's user, 0 or 1, int64, shape (n,)."""
    return user_folds(cluster, _HALVES, split_mix(_SALT))


def tune_table(
    batches: Iterable[Numbered],
    columns: Columns,
    level: float,
    names: Sequence[str],
    most: int = TUNING_ROWS,
) -> Tuning:
    """Choose for each policy and objective, for either half of the users on the other.

    Args:
        batches: of the table; no more than ``TUNING_ROWS`` rows of each half are used.
        columns: of decisions.
        level: see ``mrlm.ope.choice.tuning.tune``.
        names: of the families.
        most: rows of each half, where they are less than ``TUNING_ROWS``.

    Raises:
        ValueError: a value is wrong; row and column are named.
    """
    rows, part = _first_rows(batches, columns, min(TUNING_ROWS, most))
    tables = to_logged(part, columns, rows)
    half = halves(tables[0].cluster)
    found, refused = [], {}
    for name in names:
        try:
            members = tuple(
                {t.policy: tune(t.take(half != k), FAMILIES[name], level) for t in tables}
                for k in range(_HALVES)
            )
        except ValueError as error:
            refused[tuned_name(name)] = (
                f"its parameter cannot be tuned on half of the users: {error}"
            )
        else:
            found.append(TunedEstimator(name, members))
    return Tuning(tuple(found), refused)


def _first_rows(batches: Iterable[Numbered], columns: Columns, most: int) -> Numbered:
    """The first rows of each half; the table must have rows."""
    held: list[Numbered] = []
    left = np.full(_HALVES, most)
    for rows, part in batches:
        half = halves(users_of((rows, part), columns))
        keep = np.sort(
            np.concatenate([np.flatnonzero(half == k)[: left[k]] for k in range(_HALVES)])
        )
        left -= np.bincount(half[keep], minlength=_HALVES)
        if len(keep):
            held.append((rows[keep], part.take(pa.array(keep))))
        if not left.any():
            break
    return joined(held)
