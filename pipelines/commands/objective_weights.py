"""Commands about objective weights: what nights chose and why, and what others would do."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from mrlm.bandit_log.objectives import north_star
from mrlm.report.figures_as_text import without_dust
from mrlm.report.visible import visible
from pipelines.care.summary import standing_of
from pipelines.commands.options import SettingsOption, check_night, check_run_key
from pipelines.commands.terminal import say, say_lines
from pipelines.contract.context import contexts_of
from pipelines.failures.errors import DamagedError, DataError
from pipelines.settings.load import load_settings
from pipelines.settings.model import Settings
from spark_jobs.contract.nearest import meant

if TYPE_CHECKING:
    from mrlm.meta.explain.contributions import ExplainedLift
    from mrlm.meta.explain.what_if import WhatIf
    from mrlm.meta.problem.tuning_inputs import TuningInputs
    from mrlm.report.weights_text import ChosenWeights

_SHOWN_NIGHTS = 30
_WHERE = "Of several runs of a night, the one under the settings as they are."

_weights = typer.Typer(help="Objective weights: what nights chose, why, and what others would do.")

NightOption = Annotated[
    str, typer.Option("--night", help=f"The night, as YYYY-MM-DD; default the newest. {_WHERE}")
]
RunOption = Annotated[
    str, typer.Option("--run", help="Run key, in place of the night; see 'mrlm status'.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON, for programs.")]
PlotOption = Annotated[
    Path | None, typer.Option(help="Draw it into this new file, .svg or .png.", dir_okay=False)
]


def add_commands(app: typer.Typer) -> None:
    """Add the commands of this module."""
    _weights.callback(invoke_without_command=True)(weights)
    _weights.command("show")(show)
    _weights.command("explain")(explain)
    _weights.command("what-if")(what_if)
    _weights.command("front")(front)
    app.add_typer(_weights, name="weights")


def weights(context: typer.Context, settings: SettingsOption = None) -> None:
    """Show the objective weights that each night's meta-update chose; the others tell more."""
    if context.invoked_subcommand is not None:
        return
    for night in contexts_of(load_settings(settings)):
        standing = standing_of(night)
        tuned = standing.done.get("tune_weights")
        if tuned:
            told = without_dust(tuned.counts["weights"])
            say(f"{night.run_key}  {json.dumps(told, sort_keys=True)}")
        for line in standing.broken:
            say(f"{night.run_key}  BROKEN: {line}")


def show(
    night: NightOption = "",
    run: RunOption = "",
    plot: PlotOption = None,
    settings: SettingsOption = None,
) -> None:
    """Show a night's weights, how they moved since the night before, and why.

    --plot draws the weights of the 30 nights that end with it.
    """
    from mrlm.report.weights_text import shown_weights
    from pipelines.care.tuned_runs import chosen_weights, run_before

    loaded, key = _chosen(settings, night, run)
    before = run_before(loaded, key)
    earlier = _readable(loaded, [before] if before else [])
    tonight = chosen_weights(loaded, key)
    say_lines("\n".join(shown_weights(tonight, earlier[0] if earlier else None)))
    if plot is not None:
        _draw_nights(loaded, tonight, plot)


def explain(
    night: NightOption = "",
    run: RunOption = "",
    objective: Annotated[
        str, typer.Option(help="Whose lift is explained; default the north star.")
    ] = "",
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """Show what each objective adds to the lift of a night's challenger, overall and by scene."""
    from mrlm.report.weights_text import shown_explanation, shown_lifts
    from pipelines.care.tuned_runs import chosen_policy, inputs_of, scene_points

    loaded, key = _chosen(settings, night, run)
    given, chosen = inputs_of(loaded, key), chosen_policy(loaded, key)
    objectives = given.problem.objectives
    names = [o.name for o in objectives]
    if objective and objective not in names:
        raise typer.BadParameter(f"no objective {_quoted(objective)}{meant(objective, names)}")
    of = objective or north_star(objectives).name
    least = loaded.registry.least_users
    scenes = scene_points(loaded, key)
    found = _explained(given, chosen, scenes, of, least) if chosen.moved else []
    if as_json:
        groups = [asdict(x) for x in found]
        lifts = {n: asdict(x) for n, x in chosen.lifts.items()}
        typer.echo(
            json.dumps({"run_key": key, "objective": of, "explained": groups, "lifts": lifts})
        )
        return
    lines = [f"run {key}", *shown_lifts(chosen.lifts), *shown_explanation(found, of)]
    say_lines("\n".join(lines))
    if not chosen.moved:
        say("the champion stays: there is no lift to explain; 'mrlm weights show' says why")


def _explained(
    given: TuningInputs,
    chosen: WhatIf,
    scenes: Mapping[str, tuple[float, ...]],
    objective: str,
    least_users: int,
) -> list[ExplainedLift]:
    from mrlm.meta.explain.contributions import explained_lifts
    from mrlm.privacy.small_groups import merged

    # Rows are the workspace's; a table that a person passes on tells no small group.
    scene = merged(given.scene, given.problem.cluster, least_users)
    elsewhere = [(given.scene == name, np.array(point)) for name, point in scenes.items()]
    point = np.array(chosen.point)
    return explained_lifts(given.problem, point, objective, scene, elsewhere=elsewhere)


def what_if(
    weights: Annotated[
        str, typer.Argument(help="Such as click=.4,dwell=.3: objectives, or features.")
    ],
    kappa: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="With --scale: this point, whatever the limits say."),
    ] = None,
    scale: Annotated[
        float | None, typer.Option(min=0, help="With --kappa: sum of the weights of features.")
    ] = None,
    night: NightOption = "",
    run: RunOption = "",
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """Show what weights would do on a night's tune nights; nothing is trained or changed."""
    from mrlm.report.weights_text import shown_what_if
    from pipelines.care.tuned_runs import chosen_policy, inputs_of

    loaded, key = _chosen(settings, night, run)
    inputs = inputs_of(loaded, key)
    problem = inputs.problem
    asked = _parsed(weights, {s for s in problem.serves if s} | {*problem.columns})
    given = [x for x in (kappa, scale) if x is not None]
    if len(given) == 1 or not all(map(math.isfinite, given)):
        raise typer.BadParameter("--kappa and --scale go together, two finite numbers: a point")
    found = _asked(inputs, asked, kappa, scale)
    if as_json:
        typer.echo(json.dumps({"run_key": key, "weights": asked, **asdict(found)}))
        return
    shown = shown_what_if(found, chosen_policy(loaded, key), len(problem.shown))
    say_lines("\n".join([f"run {key}, with {weights}; nothing is trained", *shown]))


def _asked(
    given: TuningInputs, weights: dict[str, float], kappa: float | None, scale: float | None
) -> WhatIf:
    from mrlm.meta.explain import what_if as library

    problem, settings = given.problem, given.settings
    if kappa is None or scale is None:
        return library.what_if(problem, settings, weights, given.seed)
    point = library.typed_point(problem, weights, kappa, scale)
    return library.at_point(problem, settings, point, moved=kappa != 1 or scale != 0)


def front(
    night: NightOption = "",
    run: RunOption = "",
    plot: PlotOption = None,
    settings: SettingsOption = None,
) -> None:
    """Print a night's Pareto front as CSV: every point with its certified lower bounds.

    Certified: with 95 %, all bounds of all points and objectives hold together.
    """
    from mrlm.report.front_csv import front_as_csv
    from pipelines.care.tuned_runs import stored_front

    loaded, key = _chosen(settings, night, run)
    points = stored_front(loaded, key)
    typer.echo(front_as_csv(points), nl=False)
    if plot is not None:
        from mrlm.report.weights_plots import front_plot

        star = north_star(loaded.objective_tuple).name
        _write(plot, front_plot(points, star))


def _chosen(settings: Path | None, night: str, run: str) -> tuple[Settings, str]:
    from pipelines.care.tuned_runs import run_of

    if night and run:
        raise typer.BadParameter("--night and --run name the same thing: give one of them")
    loaded = load_settings(settings)
    return loaded, run_of(
        loaded, check_night(night) if night else "", check_run_key(run) if run else ""
    )


def _draw_nights(settings: Settings, last: ChosenWeights, plot: Path) -> None:
    from mrlm.report.weights_plots import weights_over_nights
    from pipelines.care.tuned_runs import tuned_runs

    earlier = [k for k in tuned_runs(settings) if k[:10] < last.night]
    nights = _readable(settings, earlier[1 - _SHOWN_NIGHTS :])
    _write(plot, weights_over_nights([*nights, last]))


def _readable(settings: Settings, run_keys: list[str]) -> list[ChosenWeights]:
    """What these runs chose; one that is damaged is told and left out."""
    from pipelines.care.tuned_runs import chosen_weights

    found = []
    for key in run_keys:
        try:
            found.append(chosen_weights(settings, key))
        except (DamagedError, OSError) as error:
            say(f"{key}  BROKEN: {error}")
    return found


def _write(path: Path, figure: Any) -> None:
    from mrlm.report.canvas import to_png, to_svg

    drawn = {".png": to_png, ".svg": to_svg}.get(path.suffix.lower())
    if drawn is None:
        raise typer.BadParameter(f"--plot {_quoted(path)} must end in .svg or .png")
    try:
        with path.open("xb") as file:
            file.write(drawn(figure))
    except FileExistsError:
        raise DataError(f"{path} is there already: name another file, or remove it") from None
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from None
    # Beside a table that goes into a file.
    typer.echo(visible(f"drawn: {path}"), err=True)


def _parsed(typed: str, names: Collection[str]) -> dict[str, float]:
    """Weights as a person types them.

    Raises:
        BadParameter: a part is no name=number, or names nothing that has a feature.
    """
    found: dict[str, float] = {}
    for part in typed.split(","):
        name, sign, text = (x.strip() for x in part.partition("="))
        if name not in names:
            raise typer.BadParameter(
                f"nothing is called {_quoted(name)}{meant(name, names)} Weights are of "
                f"{', '.join(map(visible, sorted(names)))}"
            )
        if name in found:
            raise typer.BadParameter(f"{name} is there twice")
        try:
            weight = float(text)
        except ValueError:
            weight = math.nan
        if not sign or not 0 <= weight <= 1e6:
            raise typer.BadParameter(
                f"{_quoted(part)}: write name=weight, the weight a number from 0 to a million"
            )
        found[name] = weight
    if not any(found.values()):
        raise typer.BadParameter("at least one weight must be above 0")
    return found


def _quoted(text: object) -> str:
    return visible(repr(str(text)), 200)
