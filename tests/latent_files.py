"""A latent world's log as files, for tests that need nights and no data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mrlm.worlds.dirt import DirtSettings
from mrlm.worlds.latent import LatentModel, drawn_latent, latent_ratings
from mrlm.worlds.replayed import ReplaySettings
from mrlm.worlds.writer import write_replay


def write_latent(
    folder: Path,
    *,
    users: int = 500,
    nights: int = 12,
    slots_per_user_night: int = 4,
    first_night: str = "2026-11-09",
    seed: int = 20261109,
    model: LatentModel | None = None,
    dirt_settings: DirtSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Write a latent world of any size through the replay; see ``write_replay``."""
    settings = ReplaySettings(nights=nights, first_night=first_night)
    wanted = nights * slots_per_user_night + settings.min_candidates - 1
    ratings = latent_ratings(
        model or drawn_latent(), users=users, ratings_per_user=wanted, seed=seed
    )
    return write_replay(
        folder,
        nights=nights,
        first_night=first_night,
        seed=seed,
        ratings=ratings,
        settings=settings,
        dirt_settings=dirt_settings,
        progress=progress,
    )
