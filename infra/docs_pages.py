"""Gather the pages of the site in one folder, and make the reference pages from the program.

Run by ``make docs`` as ``python infra/docs_pages.py FOLDER``; FOLDER is made anew.
"""

from __future__ import annotations

import functools
import inspect
import operator
import os
import re
import shutil
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

ROOT = Path(__file__).resolve().parents[1]
# Pages that lie beside docs/ in the repository, and what else they link to.
_BESIDE = {
    "README.md": "index.md",
    "README.zh-CN.md": "README.zh-CN.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "CHANGELOG.md": "CHANGELOG.md",
}
_LINK = re.compile(r"(\]\()([^)#\s:]+)((?:#[^)\s]*)?\))")


def main(folder: Path) -> None:
    """Write every page of the site into a new folder."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=_NO_CACHE)
    places = {ROOT / path: folder / name for path, name in _BESIDE.items()}
    for page in sorted(p for kind in ("*.md", "*.svg") for p in (ROOT / "docs").rglob(kind)):
        places[page] = folder / page.relative_to(ROOT / "docs")
    for source, target in places.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_moved_links(source, target, places, folder), encoding="utf-8")
    reference = folder / "reference"
    reference.mkdir()
    (reference / "settings.md").write_text(settings_page(), encoding="utf-8")
    (reference / "commands.md").write_text(commands_page(), encoding="utf-8")
    (reference / "library.md").write_text(library_page(), encoding="utf-8")


_NO_CACHE = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")


def _moved_links(source: Path, target: Path, places: dict[Path, Path], folder: Path) -> str:
    """The page's text, with relative links that hold where the site has it."""

    def moved(link: re.Match[str]) -> str:
        wanted = (source.parent / link[2]).resolve()
        place = places.get(wanted)
        if place is None and wanted.is_relative_to(ROOT / "examples"):
            place = folder / wanted.relative_to(ROOT)
        if place is None:
            return link[0]
        return link[1] + Path(os.path.relpath(place, target.parent)).as_posix() + link[3]

    return _LINK.sub(moved, source.read_text(encoding="utf-8"))


def settings_page() -> str:
    """All settings, a table a section, from the models."""
    from pipelines.settings.model import Settings

    lines = [
        "# Settings",
        "",
        "Values come from `mrlm.toml`, or the file that `--settings` or `MRLM_SETTINGS` names,",
        "then from the environment, which wins: `MRLM_SPARK__MASTER` is `spark.master`. Names that",
        "are no setting are refused.",
    ]
    for place, model in _sections((), Settings):
        title = ".".join(place) or "At the top level"
        lines += ["", f"## {title}", "", *_told(model)]
    lines += ["", "## objectives", "", "```text", inspect.getdoc(_objective()) or "", "```", ""]
    return "\n".join(lines)


def _sections(
    place: tuple[str, ...], model: type[BaseModel]
) -> Iterator[tuple[tuple[str, ...], type[BaseModel]]]:
    yield place, model
    for name, field in model.model_fields.items():
        if _is_section(field.annotation):
            yield from _sections((*place, name), field.annotation)  # type: ignore[arg-type]


def _is_section(annotation: Any) -> bool:
    return inspect.isclass(annotation) and issubclass(annotation, BaseModel)


def _told(model: type[BaseModel]) -> list[str]:
    rows = ["| setting | type | default | says |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        if _is_section(field.annotation):
            continue
        default = field.get_default(call_default_factory=True)
        given = "required" if default is PydanticUndefined else f"`{_plain(default)}`"
        bounds = ", ".join(_bounds(field.metadata))
        kind = _type_name(field.annotation) + (f", {bounds}" if bounds else "")
        rows.append(
            f"| `{name}` | {_cell(kind)} | {_cell(given)} | {_cell(field.description or '')} |"
        )
    return rows if len(rows) > 2 else ["Sections only."]


def _bounds(metadata: list[Any]) -> Iterator[str]:
    for name, sign in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤")):
        for known in metadata:
            if getattr(known, name, None) is not None:
                yield f"{sign} {getattr(known, name)}"


def _plain(value: Any) -> str:
    return value.as_posix() if isinstance(value, Path) else str(value)


def _type_name(annotation: Any) -> str:
    kind = _bare(annotation)
    is_plain = inspect.isclass(kind) and not get_args(kind)
    name = kind.__name__ if is_plain else str(kind)
    return re.sub(r"(typing|pathlib|(mrlm|pipelines)\.[a-z_.]+)\.", "", name)


def _bare(annotation: Any) -> Any:
    """The type without what validates it."""
    kind, inner = get_origin(annotation), get_args(annotation)
    if kind is Annotated:
        return _bare(inner[0])
    if kind in {Union, types.UnionType}:
        return functools.reduce(operator.or_, map(_bare, inner))
    if kind is None or kind is Literal:
        return annotation
    return kind[tuple(map(_bare, inner))]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _objective() -> type:
    from mrlm import Objective

    return Objective


def _commands(group: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Commands with their names, those of groups with the group's before."""
    commands: dict[str, Any] = getattr(group, "commands", {})
    for name, command in commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{above}{name} ")
        else:
            yield f"{above}{name}", command


def commands_page() -> str:
    """Every command with its arguments and options, from the program."""
    from pipelines.cli import app

    program = typer.main.get_command(app)
    lines = [
        "# Commands",
        "",
        "`mrlm COMMAND --help` prints the same. Exit codes are in "
        "[the map of the house](../architecture.md).",
    ]
    for name, command in _commands(program):
        # Brackets in a help text are no links.
        text = inspect.cleandoc(command.help or "").replace("[", "\\[")
        lines += ["", f"## mrlm {name}", "", text, ""]
        rows = ["| parameter | default | says |", "|---|---|---|"]
        for parameter in command.params:
            if parameter.name == "help":
                continue
            names = ", ".join([*parameter.opts, *parameter.secondary_opts])
            if not names.startswith("-"):
                names = (parameter.name or names).upper()
            given = "required" if parameter.required else f"`{parameter.default}`"
            told = getattr(parameter, "help", None) or ""
            rows.append(f"| `{names}` | {_cell(given)} | {_cell(told)} |")
        lines += rows if len(rows) > 2 else ["No parameters."]
    return "\n".join([*lines, ""])


def library_page() -> str:
    """What ``from mrlm import …`` gives, for mkdocstrings to fill in."""
    import mrlm
    from mrlm import _ROOM_OF

    lines = [
        "# Library",
        "",
        "All names are imported from `mrlm`. More of off-policy evaluation is in `mrlm.ope`, and",
        "what a learner of your own needs in `mrlm.learners`.",
    ]
    for name in sorted(mrlm.__all__, key=str.lower):
        thing = getattr(mrlm, name)
        of_its_own = inspect.isclass(thing) or inspect.isroutine(thing)
        # A constant does not know its module: those that are exported are registries of a room.
        where = thing.__module__ if of_its_own else f"mrlm.{_ROOM_OF[name]}.registry"
        lines += ["", f"::: {where}.{name}"]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
