"""The challenger: what it anchors on, the problem that its weights solve, and the tuned policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mrlm.meta.problem import TuningProblem
from mrlm.meta.weights import TuningResult
from mrlm.policies.features import feature_columns
from mrlm.policies.floor import with_floor
from mrlm.policies.predictions import by_objective
from mrlm.policies.tuned import Tuned

if TYPE_CHECKING:
    from mrlm.bandit_log import BanditLog, Objective
    from mrlm.policies.contract import Policy, Scorer
    from mrlm.policies.standardise import Standardiser

# A champion nested deeper than this in anchors of its own is replaced, as an anchor, by its root.
_MAX_DEPTH = 3

# Share of the scale below which a weight is the solver's rounding.
_NO_WEIGHT = 1e-6


def anchor_of(champion: Policy) -> Policy:
    """What the challenger starts from: the champion, or its root where it is nested too deeply.

    Every level of nesting costs time with every request.
    """
    if not isinstance(champion, Tuned) or champion.depth < _MAX_DEPTH:
        return champion
    root: Policy = champion
    while isinstance(root, Tuned):
        root = root.anchor
    return root


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
        anchor: see ``anchor_of``.
        floor: share of uniform exploration of the challenger, in [0, 1].
        weight_clip: largest importance weight.
        horizon: columns whose score counts later rewards too.
        nights: of the log, ISO dates, oldest first, by which rounds have an age; left out, all are
            of one night.

    Raises:
        KeyError: an objective that comes from feedback has no feature.
        ValueError: see ``TuningProblem``.
    """
    offsets = log.decisions.offsets
    core = champion.core_log_probabilities(log.decisions)
    names = {o.name for o in objectives}
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
        horizon=horizon,
        age=_age(log, nights),
    )


def _age(log: BanditLog, nights: Sequence[str]) -> NDArray[np.int64]:
    """Nights of each decision before the last of ``nights``."""
    if not nights:
        return np.zeros(len(log), np.int64)
    place = np.searchsorted(np.array(nights, "datetime64[D]"), log.night)
    return np.asarray(len(nights) - 1 - place, np.int64)


def challenger(
    anchor: Policy,
    scorers: Sequence[Scorer],
    known: Sequence[Objective],
    standardiser: Standardiser,
    result: TuningResult,
    floor: float,
) -> Tuned:
    """The tuned policy without what got no weight: it costs time with every request.

    Args:
        anchor: see ``anchor_of``.
        scorers: whose columns were features.
        known: objectives that were features by their known rewards.
        standardiser: of all features.
        result: the weights that were chosen.
        floor: share of uniform exploration, in [0, 1].
    """
    least = _NO_WEIGHT * max(result.scale, 1.0)
    weighed = {c for c, t in zip(result.columns, result.theta, strict=True) if abs(t) > least}
    used = tuple(s for s in scorers if weighed & set(s.columns))
    served = tuple(o for o in known if o.name in weighed)
    kept = feature_columns(used, served)
    theta = dict(zip(result.columns, result.theta, strict=True))
    return Tuned(
        anchor=anchor,
        scorers=used,
        known=served,
        standardiser=standardiser.select(kept),
        kappa=result.kappa,
        theta=np.array([theta[c] if c in weighed else 0.0 for c in kept]),
        floor=floor,
    )
