"""The rounds of a log as the problem that the weights solve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.item_groups import GroupKind, coded_groups
from mrlm.bandit_log.objectives import north_star
from mrlm.meta.problem.judged_groups import JudgedGroups
from mrlm.meta.problem.tuning_problem import TuningProblem
from mrlm.policies.floor import with_floor
from mrlm.policies.predictions import by_objective

if TYPE_CHECKING:
    from mrlm.bandit_log import BanditLog, Objective
    from mrlm.policies.contract import Policy


def tuning_problem(
    log: BanditLog,
    objectives: Sequence[Objective],
    columns: tuple[str, ...],
    features: NDArray[np.float64],
    matrix: NDArray[np.float64],
    champion: Policy,
    anchor: Policy,
    *,
    floor: float,
    weight_clip: float,
    horizon: tuple[str, ...] = (),
    nights: Sequence[str] = (),
    counted: Sequence[GroupKind] = (),
    judged: JudgedGroups | None = None,
) -> TuningProblem:
    """What the weights are chosen on.

    Args:
        log: n decisions with N candidates and every propensity; its rewards are in the order of
            ``objectives``, and only final ones count.
        objectives: m components of the reward vector.
        columns: f names of features; the features named as an objective serve it.
        features: standardised, float64, shape (N, f).
        matrix: the same before standardising, which predicts the rewards.
        champion: what the challenger is compared with.
        anchor: what kappa multiplies: the champion, or its root.
        floor: share of uniform exploration of the challenger, in [0, 1].
        weight_clip: largest importance weight.
        horizon: columns whose score counts later rewards too, beside the heads of returns.
        nights: of the log, ISO dates, oldest first, by which rounds have an age; left out, all are
            of one night.
        counted: what shows are counted by.
        judged: groups of the log's decisions; None where nobody judges by any.

    Raises:
        KeyError: an objective that comes from feedback has no feature.
        ValueError: see ``TuningProblem``.
    """
    offsets, item = log.decisions.offsets, log.decisions.candidates.values
    core = champion.core_log_probabilities(log.decisions)
    names = {o.name for o in objectives}
    star = log.column(north_star(tuple(objectives)).name)
    heads = {c: matrix[:, j] for j, c in enumerate(columns)}
    return TuningProblem(
        offsets=offsets,
        shown=log.shown,
        propensity=log.propensity,
        cluster=log.decisions.user,
        features=features,
        columns=columns,
        serves=tuple(c if c in names else None for c in columns),
        log_anchor=core if anchor is champion else anchor.core_log_probabilities(log.decisions),
        champion=np.exp(with_floor(core, offsets, champion.floor)),
        rewards=np.where(log.final, log.rewards, np.nan),
        q=by_objective(log, objectives, heads),
        objectives=tuple(objectives),
        floor=floor,
        weight_clip=weight_clip,
        horizon=(*horizon, *(o.name for o in objectives if o.is_return)),
        age=_age(log, nights),
        open=~(log.final[:, star] | log.unknown[:, star]),
        groups={kind: coded_groups(log.decisions.catalog, kind, item)[0] for kind in counted},
        judged=judged,
    )


def _age(log: BanditLog, nights: Sequence[str]) -> NDArray[np.int64]:
    """Nights of each decision before the last of ``nights``."""
    if not nights:
        return np.zeros(len(log), np.int64)
    place = np.searchsorted(np.array(nights, "datetime64[D]"), log.night)
    return np.asarray(len(nights) - 1 - place, np.int64)
