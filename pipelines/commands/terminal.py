"""What commands print for people: text of logs and of others cannot command the terminal."""

from __future__ import annotations

import typer

from mrlm.report.visible import visible

_LONGEST = 4000


def say(text: object) -> None:
    """Print one line; of a longer text its beginning."""
    typer.echo(visible(text, _LONGEST))


def say_lines(text: str) -> None:
    """Print a text of several lines, whole."""
    for line in text.splitlines():
        typer.echo(visible(line))
