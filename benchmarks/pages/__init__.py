"""Do readers decide right by the review page alone?

Ten versions are planted of which something is true, and rendered as a reviewer sees them. Readers
who saw neither the code nor the key, language models so far, decided on each; what they answered is
kept beside this file. ``python -m benchmarks.pages FOLDER`` writes the pages for further readers,
and ``task.md`` is what they are told.
"""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.pages.planted import PLANTED, pages, verdict_of
from benchmarks.rows import Row

ANSWERS = Path(__file__).with_name("answers.json")
_LARGEST = 1_500_000


def run(quick: bool) -> list[Row]:
    """What readers answered, and what the pages and the gate are; quick is the same."""
    made = pages()
    answers: dict[str, dict[str, dict[str, str]]] = json.loads(ANSWERS.read_text())
    rows = [_right(reader, given) for reader, given in answers.items()]
    # Of these the page's first sentence says that the gate would promote them.
    unnamed = [n for n, p in PLANTED.items() if p.answer == "reject" and verdict_of(n).promote]
    largest = max(len(page.encode()) for page in made.values())
    return [
        *rows,
        Row(
            "versions to reject that the gate promotes",
            len(unnamed),
            bar="3",
            holds=len(unnamed) == 3,
            note="; ".join(f"{n}: {PLANTED[n].why}" for n in unnamed),
        ),
        Row(
            "largest page, bytes",
            largest,
            bar=f"< {_LARGEST:,}",
            holds=largest < _LARGEST,
            note="nothing is loaded from elsewhere",
        ),
    ]


def _right(reader: str, given: dict[str, dict[str, str]]) -> Row:
    wrong = [n for n, p in PLANTED.items() if given[n]["answer"] != p.answer]
    right = len(PLANTED) - len(wrong)
    return Row(
        f"{reader}: planted versions judged right, of {len(PLANTED)}",
        right,
        bar=str(len(PLANTED)),
        holds=not wrong,
        note="; ".join(f"{n}: {PLANTED[n].why}; read: {given[n]['reason']}" for n in wrong),
    )
