"""From tuned feature weights to the objective weights that learners train with."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from mrlm.meta.search.tuning_result import TuningResult


def objective_weights(
    objectives: Collection[str],
    result: TuningResult | None = None,
    serves: Mapping[str, str | None] | None = None,
    learned: Collection[str] = (),
    previous: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """Weights on the simplex over objectives, each in units of its head's standard deviation.

    A head's positive theta goes to its objective. A learned score is the value of a policy trained
    at last night's weights, so its theta goes to the objectives in those proportions. Other
    features (uncertainty, exposure) shape the policy but are no objective. Where nothing is known,
    last night's weights stay; on the first night they are equal.

    Args:
        objectives: names.
        result: tonight's meta-update; None before the first.
        serves: feature to the objective whose head it is.
        learned: features that are learned scores.
        previous: last night's weights.
    """
    before = _normalise({o: (previous or {}).get(o, 0.0) for o in objectives})
    before = before or {o: 1.0 / len(objectives) for o in objectives}
    if result is None:
        return before
    found = dict.fromkeys(objectives, 0.0)
    for column, theta in zip(result.columns, result.theta, strict=True):
        mass, objective = max(theta, 0.0), (serves or {}).get(column)
        if column in learned:
            for name, share in before.items():
                found[name] += mass * share
        elif objective in found:
            found[objective] += mass
    return _normalise(found) or before


def _normalise(weights: Mapping[str, float]) -> dict[str, float]:
    """Non-negative weights that sum to 1; empty when none is positive."""
    total = sum(max(w, 0.0) for w in weights.values())
    return {k: max(w, 0.0) / total for k, w in weights.items()} if total > 0 else {}
