"""One night's meta-update: from last night's state and tonight's arrays to tonight's state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mrlm.meta.problem.tuning_problem import TuningProblem
from mrlm.meta.search.tuning_result import TuningResult
from mrlm.meta.search.tuning_task import TuningTask
from mrlm.meta.settings import TuningSettings
from mrlm.meta.state.change_point import ChangePoint, change_point
from mrlm.meta.state.meta_state import MetaState, NightRecord
from mrlm.meta.tune import tune


@dataclass(frozen=True)
class MetaUpdate:
    """What a night decided.

    Attributes:
        state: for the next night.
        result: the chosen point and its evidence.
        window: the rounds that it was chosen on.
        change: the test for a change; None where there was nothing to compare.
        dropped: tune nights that were left out, because they lie before a change.
    """

    state: MetaState
    result: TuningResult
    window: TuningProblem
    change: ChangePoint | None
    dropped: tuple[str, ...]

    @property
    def told(self) -> str:
        """What was dropped and why, in one sentence; empty where nothing was."""
        if not self.dropped:
            return ""
        return (
            f"tune nights before {self.state.since} are left out: the gradient of the lift is "
            f"another since then"
        )

    def to_json(self) -> dict[str, Any]:
        """The result, the test, and the nights that were left out."""
        change = (
            None if self.change is None else {**asdict(self.change), "found": self.change.found}
        )
        return {**self.result.to_json(), "change": change, "dropped": list(self.dropped)}


def update(
    state: MetaState,
    problem: TuningProblem,
    nights: Sequence[str],
    settings: TuningSettings,
    seed: int,
) -> MetaUpdate:
    """A pure function: the same arguments give the same state to the bit.

    Nights before the regime of the state are left out. If the newest nights that are left want
    other weights than those before them, the regime begins anew with them. What remains is
    weighed by its age and tuned on.

    Args:
        state: after the last night that was judged; ``MetaState()`` before the first.
        problem: rounds of the tune nights; its ages are places in ``nights`` from the end.
        nights: the tune nights, ISO dates, oldest first.
        settings: caps, levels, half-life.
        seed: of what is random.

    Raises:
        ValueError: see ``tune``; the problem is older than ``nights``.
    """
    if int(problem.age.max()) >= len(nights):
        raise ValueError(f"the problem has rounds {problem.age.max()} nights old, of {len(nights)}")
    since = state.since
    window = _since(problem, nights, since)
    change = None
    if settings.change_confidence is not None:
        # What users want does not depend on weights that somebody types.
        free = settings.model_copy(update={"weights": None})
        change = change_point(TuningTask.of(window, free), settings.change_confidence)
    if change is not None and change.found:
        since = nights[-1 - change.age]
        window = _since(window, nights, since)
    window = window.decayed(settings.half_life)
    result = tune(window, settings, state.start(problem.columns), seed)
    record = NightRecord(
        night=nights[-1],
        strategy=settings.strategy,
        moved=result.moved,
        lift=result.lift.value,
        lower=result.printed.lower,
        changed=change is not None and change.found,
    )
    return MetaUpdate(
        state=state.after(problem.columns, result.point if result.moved else None, since, record),
        result=result,
        window=window,
        change=change,
        dropped=tuple(night for night in nights if night < since),
    )


def _since(problem: TuningProblem, nights: Sequence[str], since: str) -> TuningProblem:
    """The rounds of the nights from ``since`` on; the newest night always stays."""
    kept = max(sum(night >= since for night in nights), 1)
    if kept == len(nights):
        return problem
    return problem.rounds(np.flatnonzero(problem.age < kept))
