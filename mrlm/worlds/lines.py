"""Raw lines whose category is known, and their counts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

CLEAN, DUPLICATE, LATE = "clean", "duplicate", "late"


@dataclass(frozen=True)
class Line:
    """One raw line.

    Attributes:
        text: without the line's end.
        category: ``clean``, ``duplicate``, ``late``, or the reason of its quarantine.
        after: it must come after the clean line of this number; -1 for anywhere.
    """

    text: str
    category: str
    after: int = -1


def dump(row: dict[str, Any]) -> str:
    """One row as a JSON line without its end."""
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def write_lines(
    path: Path, clean: Sequence[str], extra: Sequence[Line], rng: np.random.Generator
) -> dict[str, Any]:
    """Write the clean lines in their order with the others scattered among them.

    Returns:
        ``raw``, ``clean``, ``duplicate``, ``late`` and ``quarantined`` {reason: number}; ``raw`` is
        the number of lines written and equals the sum of the others.
    """
    low = np.array([line.after for line in extra], np.float64)
    place = low + 0.5 + rng.random(len(extra)) * (len(clean) - 1 - low)
    order = np.argsort(np.concatenate([np.arange(len(clean)), place]), kind="stable")
    texts = [*clean, *(line.text for line in extra)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as f:
        f.writelines(texts[i] + "\n" for i in order.tolist())
    counts = Counter(line.category for line in extra)
    kept = {c: counts.pop(c, 0) for c in (CLEAN, DUPLICATE, LATE)}
    return {
        "raw": len(texts),
        CLEAN: len(clean) + kept[CLEAN],
        DUPLICATE: kept[DUPLICATE],
        LATE: kept[LATE],
        "quarantined": dict(sorted(counts.items())),
    }
