"""Export: a registered version as a file that other runtimes compute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mrlm.report.visible import visible
from pipelines.commands.options import SettingsOption
from pipelines.commands.promotions import VersionArgument, registered_version
from pipelines.commands.terminal import say
from pipelines.contract.deployment import place_of
from pipelines.contract.workspace import Workspace
from pipelines.failures.errors import DataError
from pipelines.settings.load import load_settings

# What other arithmetic may change of a probability.
_APART = 1e-6


def add_commands(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("export")(export)


def export(
    version: VersionArgument,
    onnx: Annotated[Path, typer.Option(help="The ONNX file to write.")],
    scene: Annotated[
        str,
        typer.Option(
            help="Whose weights are taken, where scenes have their own; else all others'."
        ),
    ] = "",
    settings: SettingsOption = None,
) -> None:
    """Write a version's tuned policy as ONNX, and compare it with the version's own answers."""
    import numpy as np

    from mrlm.onnx_export.policy_graph import scenes_of, write_onnx
    from mrlm.onnx_export.runtime import onnx_probabilities
    from mrlm.promotion.registry.version_files import version_folder
    from mrlm.promotion.reproduction.reproduction import read_reproduction
    from mrlm.promotion.serving.bundle import load_bundle
    from mrlm.promotion.serving.states import read_states

    loaded = load_settings(settings)
    place = place_of(loaded, Workspace(loaded.workspace))
    folder = version_folder(place, registered_version(place, version).version) / "artifacts"
    bundle = load_bundle(folder / "bundle")
    states = read_states(read_reproduction(folder / "reproduction.parquet"), bundle.catalog)
    # Scenes without weights of their own share one graph.
    named = sorted(scenes_of(bundle.policy))
    own = states.scene == scene if scene in named else ~np.isin(states.scene.astype(str), named)
    judged = states.take(np.flatnonzero(own))
    if not len(judged):
        raise DataError(
            f"version {version} has no judged decision in the scene that --scene "
            f"{'names' if scene else 'would name'}, with which its graph could be compared: give "
            f"one of {', '.join(map(visible, sorted(set(states.scene.astype(str)))))}"
        )
    try:
        names = write_onnx(bundle.policy, onnx, scene)
        found = onnx_probabilities(bundle.policy, onnx, judged)
    except ModuleNotFoundError as error:
        raise DataError(f"{error.name} is not installed: pip install 'mrlm[onnx]'") from error
    except ValueError as error:
        raise DataError(f"version {version} cannot be exported: {error}") from error
    expected = np.exp(bundle.policy.log_probabilities(judged))
    apart = float(np.abs(found - expected).max(initial=0.0))
    if not apart <= _APART:
        raise DataError(f"{onnx} gives probabilities that are {apart:.2g} apart: do not use it")
    say(f"{onnx}: inputs {', '.join(names)}")
    say(f"{len(judged)} judged decisions, probabilities at most {apart:.2g} apart")
