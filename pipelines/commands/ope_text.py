"""The evaluation of a table as lines for a terminal, or for a file, of any width."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len

from mrlm.ope.intervals import Estimate
from mrlm.ope.table import TableEvaluation
from mrlm.report.ope_summary import NONE_FOR_ALL, Notes, ObjectiveSummary, Summary, SummaryLine
from mrlm.report.visible import closed, closed_lines, isolated

_INDENT = "  "
# Without --all; the rest is counted.
_MOST_DIFFERENCES, _MOST_NOTES, _MOST_NAMES = 15, 12, 4
_LEAST_NAME = 10


def ope_text(found: TableEvaluation, name: str, width: int, everything: bool = False) -> list[str]:
    """Lines of at most ``width`` cells: what to take first, then differences, then refusals.

    Args:
        found: what the table says of its policies.
        name: of the table.
        width: cells of a line, at least 40.
        everything: also every estimate, refused ones with their values, and all notes.
    """
    width = max(width, 40)
    summary = Summary.of(found)
    lines = [
        *_wrapped(
            f"{isolated(name, 60)}: {found.rows} rows, value of a {found.round}, "
            f"unit of independence: {found.unit or 'row'}",
            width,
        )
    ]
    for objective in summary.objectives:
        lines += ["", *_objective(objective, width)]
    if found.differences:
        lines += ["", "Paired differences"]
        for objective in summary.objectives:
            lines += _differences(objective, width, len(summary.objectives) > 1, everything)
    if summary.notes.estimators:
        lines += ["", "Refused", *_notes(summary.notes, width, everything)]
    if everything:
        lines += ["", "Every estimate", *_every(found, summary.notes, width)]
    lines += [*_tail(found, width)]
    if not everything:
        lines += ["", *_wrapped("--all prints every estimate, --json all that is known", width)]
    return lines


def _objective(objective: ObjectiveSummary, width: int) -> Iterator[str]:
    use = f"use {objective.estimator}" if objective.estimator else NONE_FOR_ALL
    yield from _wrapped(f"{isolated(objective.name, 60)}: {use}", width)
    yield from _rows(objective.policies, width)


def _differences(
    objective: ObjectiveSummary, width: int, named: bool, everything: bool
) -> Iterator[str]:
    shown = objective.differences if everything else objective.differences[:_MOST_DIFFERENCES]
    if named:
        yield from _wrapped(f"{isolated(objective.name, 60)}:", width)
    yield from _rows(shown, width)
    if len(shown) < len(objective.differences):
        yield f"{_INDENT}and {len(objective.differences) - len(shown)} more, see --all"


def _rows(lines: Sequence[SummaryLine], width: int) -> Iterator[str]:
    cells = [_certified(line.estimate) for line in lines if line.estimate is not None]
    sizes = [max((cell_len(c[i]) for c in cells), default=0) for i in range(4)]
    names = [isolated(line.policy, 80) for line in lines]
    room = min(width - len(_INDENT) - sum(sizes) - 2 * len(sizes), width // 3)
    first = min(max(map(cell_len, names), default=0), max(room, _LEAST_NAME))
    for line, name in zip(lines, names, strict=True):
        start = f"{_INDENT}{_fitted(name, first)}  "
        if line.estimate is not None:
            estimator, value, interval, verdict = _certified(line.estimate)
            yield _cut(
                f"{start}{_fitted(estimator, sizes[0])}  {value:>{sizes[1]}}  "
                f"{_fitted(interval, sizes[2])}  {verdict}",
                width,
            )
        else:
            yield _cut(f"{start}{_refusal(line)}", width)


def _certified(e: Estimate) -> tuple[str, str, str, str]:
    # The heading names the discount, which is the same everywhere.
    estimator = e.estimator.partition(",")[0]
    return estimator, f"{e.value:.4g}", f"[{e.lower:.4g}, {e.upper:.4g}]", "certified"


def _refusal(line: SummaryLine) -> str:
    numbers = ", ".join(map(str, line.notes))
    more = "" if line.rows_needed is None else f", {line.rows_needed} rows needed"
    reason = line.reason.removeprefix(f"{line.policy}: ")
    return f"refused ({numbers}){more}: {isolated(reason)}"


def _notes(notes: Notes, width: int, everything: bool) -> Iterator[str]:
    every = [*enumerate(notes.estimators.items(), 1)]
    shown = every if everything else every[:_MOST_NOTES]
    for number, (reason, names) in shown:
        who = ", ".join(names[:_MOST_NAMES])
        if len(names) > _MOST_NAMES:
            who += f" and {len(names) - _MOST_NAMES} more"
        # Some reasons begin with the name of the estimator that they are of.
        text = isolated(reason, 400)
        alone = len(names) == 1 and text.startswith(f"{names[0]} ")
        yield from _wrapped(text if alone else f"{who}: {text}", width, f"{_INDENT}({number}) ")
    if len(shown) < len(every):
        yield f"{_INDENT}and {len(every) - len(shown)} more, see --all"


def _every(found: TableEvaluation, notes: Notes, width: int) -> Iterator[str]:
    for e in (*found.estimates, *found.differences):
        what = f"{isolated(e.policy, 60)}, {isolated(e.objective, 40)}, {e.estimator}"
        value = f"{e.value:.4g}" if math.isfinite(e.value) else "none"
        if e.certified:
            verdict = f"[{e.lower:.4g}, {e.upper:.4g}]  certified"
        else:
            verdict = f"refused ({', '.join(map(str, notes.of(e)))})"
        yield from _wrapped(f"{what}:  {value}  {verdict}", width, _INDENT)


def _tail(found: TableEvaluation, width: int) -> Iterator[str]:
    chosen = [
        f"{isolated(policy, 40)}, {isolated(objective, 40)}: {family} is {members}"
        for policy, objectives in found.tuned.items()
        for objective, by_family in objectives.items()
        for family, members in by_family.items()
    ]
    if chosen:
        yield from ["", "Tuned, for each half of the users on the other half"]
        for text in chosen:
            yield from _wrapped(text, width, _INDENT)
    if found.warnings:
        yield ""
    for warning in found.warnings:
        yield from _wrapped(f"warning: {isolated(warning, 400)}", width)


def _wrapped(text: str, width: int, start: str = "") -> Iterable[str]:
    """The text in lines of at most so many cells, the later ones below the first one's text."""
    room = width - len(start)
    line, lines = "", []
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if cell_len(joined) <= room:
            line = joined
            continue
        if line:
            lines.append(line)
        while cell_len(word) > room:
            head = _head(word, room)
            lines.append(head)
            word = word[len(head) :]
        line = word
    lines.append(line)
    starts = [start, *[" " * len(start)] * (len(lines) - 1)]
    return [a + b for a, b in zip(starts, closed_lines(lines), strict=True)]


def _fitted(text: str, size: int) -> str:
    """The text in just so many cells, without its middle where it is longer."""
    if cell_len(text) <= size:
        return text + " " * (size - cell_len(text))
    end = _head(text[::-1], size // 3)[::-1]
    cut = closed(f"{_head(text, size - 1 - cell_len(end))}…{end}")
    return cut + " " * (size - cell_len(cut))


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else closed(f"{_head(text, width - 1).rstrip()}…")


def _head(text: str, size: int) -> str:
    """As much of the text's beginning as so many cells hold."""
    end = min(len(text), size)
    while cell_len(text[:end]) > size:
        end -= 1
    while end < len(text) and cell_len(text[: end + 1]) <= size:
        end += 1
    return text[:end]
