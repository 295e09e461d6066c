"""Rows that both worlds print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.loop._finished import Lives
from benchmarks.loop._systems import GATED
from benchmarks.rows import Row


def values(lives: Lives) -> dict[str, NDArray[np.float64]]:
    """System to the true value by seed and night."""
    return {name: np.array([life["value"] for life in found]) for name, found in lives.items()}


def means(lives: Lives, world: str) -> list[Row]:
    """Each system's mean over nights, and what the gate promoted."""
    rows = []
    for name, by_seed in values(lives).items():
        own = by_seed.mean(1)
        note = f"{len(own)} seeds, {own.min():.4f} to {own.max():.4f}"
        if name == GATED:
            note += f"; promotions after nights {[_promotions(life) for life in lives[name]]}"
        rows.append(
            Row(f"{world}: true value over all nights, {name}", float(own.mean()), note=note)
        )
    return rows


def accounted(lives: Lives, world: str) -> Row:
    """Whether each slot of the schedule was served and logged once, and no rating shown twice."""
    every = [life for found in lives.values() for life in found]
    missing = sum(abs(life["scheduled"] - sum(life["slots"])) + life["twice"] for life in every)
    slots = np.concatenate([life["slots"] for life in every])
    return Row(
        f"{world}: served slots that are not logged once",
        float(missing),
        bar="0",
        holds=missing == 0,
        note=f"{slots.sum()} slots, {slots.min()} to {slots.max()} a night",
    )


def _promotions(life: Mapping[str, Any]) -> Sequence[int]:
    return [int(n) + 1 for n, told in life["told"].items() if told.startswith("promoted")]
