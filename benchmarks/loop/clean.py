"""The clean world: what the gate costs where nothing goes wrong, and what it is worth.

10 seeds; quick: 1 seed, 12 nights of 150 users, without bars.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks._demonstration import settings
from benchmarks.loop._costs import costs
from benchmarks.loop._finished import Lives, lives
from benchmarks.loop._plot import value_plot
from benchmarks.loop._rows import accounted, means, values
from benchmarks.loop._systems import FROZEN, GATED, ITEM_MEAN, SYSTEMS, UNGATED
from benchmarks.loop._world import FULL, QUICK
from benchmarks.rows import Row
from mrlm.bandit_log.objectives import north_star

KEPT, LAST = 0.97, 5
PICTURE = Path(__file__).resolve().parents[2] / "docs" / "images" / "loop.svg"


def run(quick: bool) -> list[Row]:
    """Five systems side by side, and their picture: of a full run the one in docs/loop.md."""
    found = lives(__name__, SYSTEMS, QUICK if quick else FULL, {})
    picture = Path(tempfile.gettempdir()) / "mrlm-loop.svg" if quick else PICTURE
    picture.parent.mkdir(parents=True, exist_ok=True)
    star = north_star(settings().objective_tuple)
    picture.write_bytes(value_plot(values(found), f"true {star.name}, {star.unit}"))
    return [
        *means(found, "clean"),
        *_against(found, judged=not quick),
        *costs(found, "clean"),
        *_every_slot(found),
    ]


def _against(found: Lives, judged: bool) -> list[Row]:
    by = values(found)
    ours, free = by[GATED].mean(1), by[UNGATED].mean(1)
    last = {name: v[:, -LAST:].mean(1) for name, v in by.items()}
    over_frozen, over_item = last[GATED] - last[FROZEN], last[GATED] - last[ITEM_MEAN]
    share = float(ours.mean() / free.mean())
    return [
        Row(
            "clean: gated over ungated, all nights",
            share,
            bar=f">= {KEPT:g}",
            holds=share >= KEPT,
            note="by seed " + ", ".join(f"{s:.3f}" for s in ours / free),
        ).where(judged),
        Row(
            f"clean: gated less frozen, last {LAST} nights, least seed",
            float(over_frozen.min()),
            bar="above 0",
            holds=bool(over_frozen.min() > 0),
            note=f"mean {over_frozen.mean():+.4f}",
        ).where(judged),
        Row(
            f"clean: gated less item mean, last {LAST} nights, mean",
            float(over_item.mean()),
            bar="above 0",
            holds=bool(over_item.mean() > 0),
            note=f"by seed {over_item.min():+.4f} to {over_item.max():+.4f}",
        ).where(judged),
    ]


def _every_slot(found: Lives) -> list[Row]:
    new = np.array([life["new"] for life in found[GATED]])
    shown = np.array([life["new_shown"] for life in found[GATED]])
    share = float((shown[new > 0] > 0).mean())
    return [
        Row(
            "clean: nights that show items on the night they arrive, gated",
            share,
            bar="1",
            holds=share == 1.0,
            note=f"after the first night {new[:, 1:].mean():.0f} items a night are on offer for "
            f"the first time, and {shown[:, 1:].sum() / new[:, 1:].sum():.0%} of them are shown on "
            "it",
        ),
        accounted(found, "clean"),
    ]
