"""What the runs of a workspace chose as weights, and what they chose it on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mrlm.report.weights_text import ChosenWeights
from pipelines.contract import checksums
from pipelines.contract.context import NightContext
from pipelines.contract.deployment import place_of
from pipelines.contract.manifest import FILE_NAME
from pipelines.contract.outputs import StageFolder
from pipelines.contract.workspace import Workspace, is_night
from pipelines.failures.errors import DamagedError, MissingInputError
from pipelines.nights.tuning_state import ALTERNATIVES
from pipelines.settings.model import Settings
from pipelines.stages.tune_weights import ROWS

if TYPE_CHECKING:
    from mrlm.meta.explain.pareto import ParetoPoint
    from mrlm.meta.explain.what_if import WhatIf
    from mrlm.meta.problem.tuning_inputs import TuningInputs

_STAGE = "tune_weights"


def tuned_runs(settings: Settings) -> list[str]:
    """Run keys of the nights that chose weights, one a night, oldest first.

    Of several runs of a night: the one under the settings as they are, else one that was judged.
    """
    workspace = Workspace(settings.workspace)
    entries = place_of(settings, workspace).ledger.entries()
    judged = {e.run_key for e in entries if e.kind == "judged"}
    best: dict[str, str] = {}

    def rank(key: str) -> tuple[bool, bool, str]:
        own = NightContext(key[:10], settings, workspace).run_key
        return key == own, key in judged, key

    for key in _run_keys(workspace):
        best[key[:10]] = max(best.get(key[:10], key), key, key=rank)
    return [best[night] for night in sorted(best)]


def _run_keys(workspace: Workspace) -> list[str]:
    if not workspace.runs.is_dir():
        return []
    names = (p.name for p in workspace.runs.iterdir() if is_night(p.name[:10]))
    return [n for n in names if (workspace.run_stage(n, _STAGE) / FILE_NAME).exists()]


def run_of(settings: Settings, night: str = "", run_key: str = "") -> str:
    """The run that a person means: by its key, by its night, else the newest.

    Raises:
        MissingInputError: there is none that chose weights.
    """
    known = _run_keys(Workspace(settings.workspace))
    if run_key:
        found = [k for k in known if k == run_key]
    else:
        found = [k for k in tuned_runs(settings) if not night or k[:10] == night]
    if not found:
        wanted = f"run {run_key}" if run_key else f"night {night}" if night else "night"
        raise MissingInputError(
            f"no {wanted} has chosen weights yet; 'mrlm status' shows the nights, and "
            "'mrlm night YYYY-MM-DD' runs one"
        )
    return found[-1]


def run_before(settings: Settings, run_key: str) -> str:
    """The run of the newest earlier night that chose weights; empty where there is none."""
    earlier = [k for k in tuned_runs(settings) if k[:10] < run_key[:10]]
    return earlier[-1] if earlier else ""


def chosen_weights(settings: Settings, run_key: str) -> ChosenWeights:
    """What a run chose.

    Raises:
        DamagedError: a file of it is not as it was written.
    """
    folder = _folder(settings, run_key)
    counts, tuning = folder.require().counts, tuning_of(settings, run_key)
    limits = counts.get("limited_by")
    return ChosenWeights(
        night=run_key[:10],
        run_key=run_key,
        weights=counts["weights"],
        kappa=tuning["kappa"],
        scale=tuning["scale"],
        moved=counts["moved"],
        reason=counts["reason"],
        limited_by=None if limits is None else tuple(limits),
        scenes=tuple(scene_points(settings, run_key)),
        hyperparameters=counts.get("hyperparameters", ""),
        alternatives=_alternatives(settings, run_key),
        floors=counts.get("floors", {}),
    )


def _alternatives(settings: Settings, run_key: str) -> str:
    """What a run's trials of other behaviour settings came to; empty where it had none."""
    place = Workspace(settings.workspace).run_stage(run_key, "learn_behaviour")
    manifest = StageFolder(place, "learn_behaviour", run_key[:10]).manifest()
    return str(manifest.counts.get(ALTERNATIVES, "")) if manifest else ""


def tuning_of(settings: Settings, run_key: str) -> dict[str, Any]:
    """A run's ``tuning.json``.

    Raises:
        DamagedError: it is not as it was written.
    """
    text = _folder(settings, run_key).path("tuning.json").read_text()
    return json.loads(text)  # type: ignore[no-any-return]


def scene_points(settings: Settings, run_key: str) -> dict[str, tuple[float, ...]]:
    """(kappa, theta) of each scene that has weights of its own in a run.

    Raises:
        DamagedError: the file is not as it was written.
    """
    points = tuning_of(settings, run_key).get("scenes", {}).get("points", {})
    return {scene: tuple(point) for scene, point in points.items()}


def stored_front(settings: Settings, run_key: str) -> list[ParetoPoint]:
    """A run's Pareto table with certified bounds.

    Raises:
        DamagedError: a file of it is not as it was written.
    """
    from mrlm.meta.explain.front import certified_front

    points = json.loads(_folder(settings, run_key).path("pareto.json").read_text())
    return certified_front(points, len(tuning_of(settings, run_key)["columns"]))


def chosen_policy(settings: Settings, run_key: str) -> WhatIf:
    """The policy that a run proposed, valued as the run wrote it.

    Raises:
        MissingInputError: earlier code wrote no lift of every objective.
        DamagedError: the file is not as it was written.
    """
    from mrlm.meta.explain.what_if import TypedLift, WhatIf
    from mrlm.meta.problem.contract import BoundedLift
    from mrlm.meta.search.tuning_result import Guardrail

    tuning = tuning_of(settings, run_key)
    if "lifts" not in tuning:
        raise MissingInputError(_missing(run_key, "the lifts of its objectives"))
    # What scenes are served by their own points is another policy than that of the common point.
    served = {**tuning, **(tuning["scenes"] if scene_points(settings, run_key) else {})}
    return WhatIf(
        point=(tuning["kappa"], *tuning["theta"]),
        moved=tuning["moved"],
        reason=tuning["reason"],
        limited_by=tuple(tuning["limited_by"]),
        lifts={n: TypedLift(**x) for n, x in tuning["lifts"].items()},
        guardrails={
            n: Guardrail(BoundedLift(**x["lift"]), x["margin"], x["holds"])
            for n, x in tuning["guardrails"].items()
        },
        kl=served["kl"] if tuning["moved"] else 0.0,
        effective_sample_size=served["effective_sample_size"],
    )


def inputs_of(settings: Settings, run_key: str) -> TuningInputs:
    """What a run's meta-update was given.

    Raises:
        MissingInputError: the rows were removed, or earlier code kept none.
        DamagedError: a file of them is not as it was written.
    """
    from mrlm.meta.problem.tuning_inputs import load_tuning_inputs

    folder = _folder(settings, run_key)
    rows, stated = folder.folder / ROWS, folder.require().counts.get(ROWS)
    if stated is None or not rows.is_dir():
        raise MissingInputError(_missing(run_key, "the rows that its weights were chosen on"))
    wrong = checksums.damage(rows, stated)
    if wrong:
        raise DamagedError(f"{wrong}: {_remedy(run_key)}")
    return load_tuning_inputs(rows)


def _missing(run_key: str, what: str) -> str:
    return (
        f"run {run_key}: {what} are not there (earlier code kept none; 'mrlm clean' and 'mrlm "
        f"forget' remove rows): {_remedy(run_key)}"
    )


def _remedy(run_key: str) -> str:
    return (
        f"'mrlm stage {_STAGE} --night {run_key[:10]} --force', under that run's settings, writes "
        "them again"
    )


def _folder(settings: Settings, run_key: str) -> StageFolder:
    workspace = Workspace(settings.workspace)
    return StageFolder(workspace.run_stage(run_key, _STAGE), _STAGE, run_key[:10])
