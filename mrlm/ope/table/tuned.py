"""Estimators of decisions whose parameter was chosen on one half of the users, for the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.estimators.clipped_ips import ClippedIPS
from mrlm.ope.estimators.dr_shrinkage import DROptimistic, DRPessimistic
from mrlm.ope.estimators.shrinking import ShrinkingEstimator, label, parts
from mrlm.ope.estimators.switch_dr import SwitchDR
from mrlm.ope.rounds import Rounds
from mrlm.ope.scores import Scores, one_ratio
from mrlm.ope.table.columns import Columns
from mrlm.ope.table.to_logged import Numbered, joined, to_logged, users_of
from mrlm.ope.tuning import tune
from mrlm.ope.user_folds import user_folds

# The first so many rows of the users of one half choose the parameters.
TUNING_ROWS = 1 << 18
_PARAMETERS = 24
# The halves are not the folds that other parts cross-fit or choose by.
_SALT = 3


@dataclass(frozen=True)
class Tuned:
    """A family of shrinking estimators with the member chosen for each policy and objective.

    Attributes:
        family: name of the family.
        members: policy and objective to the member.
    """

    family: str
    members: Mapping[str, Mapping[str, ShrinkingEstimator]]

    @property
    def name(self) -> str:
        """Name in tables."""
        return tuned_name(self.family)

    def __call__(self, batch: Rounds) -> Scores:
        """Scores of every round and objective; the rounds must be of users that did not tune."""
        chosen = [self.members[batch.policy][o] for o in batch.objectives]
        offset, residual = parts(batch, chosen[0].needs_q)
        weight = np.column_stack([member.weights(batch.weight) for member in chosen])
        numerator = offset + weight * residual
        return one_ratio(self.name, False, batch, numerator, np.ones_like(numerator))


@dataclass(frozen=True)
class Tuning:
    """What tuning gives: the estimators, and why a family has none."""

    estimators: tuple[Tuned, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)

    def labels(self) -> dict[str, dict[str, dict[str, str]]]:
        """Policy, objective and estimator to the member that was chosen."""
        found: dict[str, dict[str, dict[str, str]]] = {}
        for e in self.estimators:
            for policy, members in e.members.items():
                for objective, member in members.items():
                    place = found.setdefault(policy, {}).setdefault(objective, {})
                    place[e.name] = label(member)
        return found


def tuned_name(family: str) -> str:
    """Name in tables of a family's chosen member."""
    return f"{family}(tuned)"


def families(with_q: bool) -> dict[str, list[ShrinkingEstimator]]:
    """Members of each family from no shrinkage to the most, by name."""
    clips = [np.inf, *np.geomspace(1e3, 1.0, _PARAMETERS).tolist()]
    found: dict[str, list[ShrinkingEstimator]] = {"clipped_ips": [ClippedIPS(c) for c in clips]}
    if with_q:
        below_one = [*clips, 0.5, 0.2, 0.0]
        strengths = [np.inf, *np.geomspace(1e6, 1e-2, _PARAMETERS).tolist(), 0.0]
        found["switch_dr"] = [SwitchDR(c) for c in below_one]
        found["dr_os"] = [DROptimistic(s) for s in strengths]
        found["dr_ps"] = [DRPessimistic(c) for c in below_one]
    return found


def tunes(cluster: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether the user of each row is in the half that chooses, bool, shape (n,)."""
    if len(cluster) == 0:
        return np.zeros(0, np.bool_)
    chosen: NDArray[np.bool_] = user_folds(cluster, 2, _SALT) == 1
    return chosen


def tune_table(batches: Iterable[Numbered], columns: Columns, level: float) -> Tuning:
    """Choose by SLOPE, for each policy and objective, on the first half of the users.

    Args:
        batches: of the table; no more than ``TUNING_ROWS`` rows of the half are used.
        columns: of decisions.
        level: two-sided level of the intervals that SLOPE compares.

    Raises:
        ValueError: a value is wrong; row and column are named.
    """
    with_q = bool(columns.q and columns.v)
    every = families(with_q)
    held = _first_rows(batches, columns)
    if held is None:
        return Tuning(refused={tuned_name(f): "no user is in the half that tunes" for f in every})
    rows, part = held
    tables = to_logged(part, columns, rows)
    found, refused = [], {}
    for name, family in every.items():
        try:
            # Tuning reads what rounds have, and nothing else of a batch.
            members = {t.policy: tune(cast("EvaluationBatch", t), family, level) for t in tables}
        except ValueError as error:
            refused[tuned_name(name)] = (
                f"its parameter cannot be tuned on half of the users: {error}"
            )
        else:
            found.append(Tuned(name, members))
    return Tuning(tuple(found), refused)


def _first_rows(batches: Iterable[Numbered], columns: Columns) -> Numbered | None:
    held: list[Numbered] = []
    left = TUNING_ROWS
    for rows, part in batches:
        keep = np.flatnonzero(tunes(users_of((rows, part), columns)))[:left]
        if len(keep):
            held.append((rows[keep], part.take(pa.array(keep))))
        left -= len(keep)
        if left == 0:
            break
    return joined(held) if held else None
