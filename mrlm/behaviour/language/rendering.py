"""What a language model reads of a decision: text of its history and of its candidates."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Catalog, Decisions


def history_texts(
    states: Decisions, objectives: Sequence[str], entries: int, characters: int
) -> list[str]:
    """One text a state: its scene, then the newest entries first, each with what was known.

    An entry reads ``delight 1, rating 4.5: Toy Story (1995)``, or ``shown: Toy Story (1995)``
    where nothing was known. A text that is too long for its reader loses its end, so the oldest.
    Only what the item table says is written: no identifier, and nothing that a user wrote.

    Args:
        states: n decisions.
        objectives: whose values are written, in this order; values that came without a name are
            written as those of the first (``Histories.column``).
        entries: how many of the newest stand in a text.
        characters: of each item's text.
    """
    seen, histories, catalog = states.looked_back_on(), states.histories, states.catalog
    columns = {name: histories.column(name, j) for j, name in enumerate(objectives)}
    written = {name: column for name, column in columns.items() if column is not None}
    texts = []
    for i, scene in enumerate(states.scene):
        start = max(int(seen.offsets[i]), int(seen.offsets[i + 1]) - entries)
        lines = [f"{_line(scene)}."]
        for place in seen.values[start : seen.offsets[i + 1]][::-1]:
            known = [
                f"{name} {column[place]:.3g}".strip()
                for name, column in written.items()
                if np.isfinite(column[place])
            ]
            item = _line(catalog.text[histories.item[place]])[:characters]
            lines.append(f"{', '.join(known) or 'shown'}: {item}")
        texts.append("\n".join(lines))
    return texts


def item_texts(catalog: Catalog, items: NDArray[np.integer]) -> list[str]:
    """One text an item code, in one line: a line of its own would read as an entry."""
    return [_line(text) for text in catalog.text[items]]


def pair_texts(
    states: Decisions, histories: list[str], cut: Callable[[list[str]], list[str]]
) -> list[str]:
    """One text a candidate, N in all: the candidate, then the history of its state.

    Args:
        states: n decisions with N candidates in all.
        histories: ``history_texts`` of them.
        cut: shortens texts of items, so that the history behind them is read as well.
    """
    items, item = np.unique(states.candidates.values, return_inverse=True)
    own = cut(item_texts(states.catalog, items))
    return [
        f"{own[i]}\n{histories[row]}" for i, row in zip(item, states.candidates.row, strict=True)
    ]


def _line(text: object) -> str:
    return " ".join(str(text).split())
