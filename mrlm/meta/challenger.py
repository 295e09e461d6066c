"""The challenger: what it anchors on, and the tuned policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mrlm.meta.problem.tuned_softmax import Vector
from mrlm.meta.search.tuning_result import TuningResult
from mrlm.policies.features import feature_columns
from mrlm.policies.tuned import SceneWeights, Tuned
from mrlm.policies.uniform import Uniform

if TYPE_CHECKING:
    from mrlm.bandit_log import Objective
    from mrlm.bandit_log.segment_labels import SegmentKind
    from mrlm.policies.contract import Policy, Scorer
    from mrlm.policies.standardise import Standardiser

# A champion that holds so many tuned policies is no anchor itself: a challenger would hold more.
_MAX_DEPTH = 3

# Share of the scale below which a weight is the solver's rounding.
_NO_WEIGHT = 1e-6


def anchor_of(champion: Policy) -> Policy:
    """What the challenger starts from: the champion, or what that anchors on where it is too deep.

    Every level of nesting costs time with every request. The level above is the nearest to the
    champion that is left: tonight's heads have to make up for its last step alone, and not for
    all that was ever promoted.
    """
    anchor = champion
    while isinstance(anchor, Tuned) and anchor.depth >= _MAX_DEPTH:
        anchor = anchor.anchor
    return anchor


def challenger(
    anchor: Policy,
    scorers: Sequence[Scorer],
    known: Sequence[Objective],
    standardiser: Standardiser,
    result: TuningResult,
    floor: float,
    scenes: Mapping[str, Vector] | None = None,
    segments: SegmentKind = "scene",
) -> Tuned:
    """The tuned policy without what got no weight: it costs time with every request.

    Args:
        anchor: see ``anchor_of``; where kappa is 0 the uniform policy takes its place.
        scorers: whose columns were features.
        known: objectives that were features by their known rewards.
        standardiser: of all features.
        result: the weights that were chosen.
        floor: share of uniform exploration, in [0, 1].
        scenes: scene to its own (kappa, theta), each of shape (1 + f,), over the columns of
            ``result``.
        segments: what these are: scenes, or how much users had done before.
    """
    points = [result.point, *(scenes or {}).values()]
    weighed = {c for point in points for c in _weighed(result.columns, point)}
    used = tuple(s for s in scorers if weighed & set(s.columns))
    served = tuple(o for o in known if o.name in weighed)
    kept = feature_columns(used, served)

    def theta(point: Vector) -> Vector:
        found = dict(zip(result.columns, point[1:].tolist(), strict=True))
        own = _weighed(result.columns, point)
        return np.array([found[c] if c in own else 0.0 for c in kept])

    return Tuned(
        anchor=anchor if any(point[0] for point in points) else Uniform(),
        scorers=used,
        known=served,
        standardiser=standardiser.select(kept),
        kappa=result.kappa,
        theta=theta(result.point),
        floor=floor,
        scenes=tuple(
            SceneWeights(scene, float(point[0]), theta(point))
            for scene, point in (scenes or {}).items()
        ),
        segments=segments,
    )


def _weighed(columns: Sequence[str], point: Vector) -> set[str]:
    """Columns whose weight is more than the solver's rounding."""
    least = _NO_WEIGHT * max(float(np.abs(point[1:]).sum()), 1.0)
    return {c for c, t in zip(columns, point[1:], strict=True) if abs(t) > least}
