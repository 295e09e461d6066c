"""Reading the lake: which nights there are, which passed, and their bandit logs as of a night."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from mrlm.bandit_log import BanditLog, Catalog
from mrlm.bandit_log.stored.reader import read_bandit_log, read_in_parts
from mrlm.bandit_log.stored.shown_nights import ShownNights
from pipelines.contract.context import NightContext
from pipelines.contract.manifest import Manifest
from pipelines.failures.errors import MissingInputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TABLES = ("impressions", "feedback", "items")


def shift(night: str, days: int) -> str:
    """The night so many days later, or earlier when negative."""
    return (date.fromisoformat(night) + timedelta(days=days)).isoformat()


def history_command(context: NightContext, last: str) -> str:
    """The command that reads the fewest nights, up to ``last``, after which one can be judged."""
    first = shift(last, 1 - context.settings.history_nights)
    return f"mrlm history {first} {last}"


def ingested(context: NightContext, since: str = "") -> dict[str, Manifest]:
    """Ingest manifests of earlier nights from ``since`` on, oldest first; tonight is left out."""
    found = {}
    for night in context.workspace.nights():
        if since <= night < context.night:
            manifest = context.lake("ingest", night).manifest()
            if manifest:
                found[night] = manifest
    return found


def table_passed(context: NightContext, night: str, table: str) -> bool:
    """Whether a night's table was validated and not stopped."""
    manifest = context.lake("validate", night).manifest()
    return manifest is not None and manifest.counts["tables"].get(table) == "passed"


def built_logs(context: NightContext) -> dict[str, tuple[str, str]]:
    """Newest build of each night's bandit log, as of tonight.

    Returns:
        Event night to (night that built it, output name), for nights whose impressions passed.
    """
    newest: dict[str, tuple[str, str]] = {}
    for builder in context.workspace.nights():
        if builder > context.night:
            continue
        manifest = context.lake("build_log", builder).manifest()
        for name in manifest.outputs if manifest else ():
            night = name.removeprefix("night=")
            if table_passed(context, night, "impressions"):
                newest[night] = (builder, name)
    return dict(sorted(newest.items()))


def log_fingerprints(context: NightContext, nights: list[str]) -> dict[str, str]:
    """Fingerprint of each night's bandit log as of tonight.

    Raises:
        MissingInputError: a night has none.
    """
    built = built_logs(context)
    found = {}
    for night in nights:
        if night not in built:
            raise MissingInputError(f"night {night} has no bandit log: run 'mrlm night {night}'")
        builder, name = built[night]
        manifest = context.lake("build_log", builder).require()
        found[f"bandit_log/{night}"] = manifest.outputs[name].fingerprint
    return found


def logged_decisions(context: NightContext, nights: list[str]) -> dict[str, int]:
    """How many decisions each night's bandit log has as of tonight, read or not."""
    built = built_logs(context)
    return {
        n: int(context.lake("build_log", built[n][0]).require().counts["nights"][n]["decisions"])
        for n in nights
    }


def log_paths(context: NightContext, nights: list[str]) -> list[Path]:
    """Folder of each night's bandit log as of tonight.

    Raises:
        DamagedError: a file of one is not as it was written.
    """
    built = built_logs(context)
    return [context.lake("build_log", built[n][0]).path(built[n][1]) for n in nights]


def read_logs(
    context: NightContext,
    nights: list[str],
    catalog: Catalog | None = None,
    together: int | None = None,
) -> BanditLog:
    """The bandit log of these nights, with item embeddings, as of tonight.

    Of a night with more than ``split.night_decisions`` some users are read. Which, is the night's
    own: whoever reads it among whatever other nights reads the same ones.

    Args:
        context: of tonight.
        nights: ISO dates.
        catalog: tonight's items, where the caller has them.
        together: about how many decisions of all these nights are read instead, of each its part;
            0: all.
    """
    items = read_catalog(context) if catalog is None else catalog
    most = context.settings.split.night_decisions or None
    if together is not None:
        most = _of_each(nights, together)
    paths, length = log_paths(context, nights), context.settings.state.history_length
    return read_bandit_log(paths, items, context.objectives, most, length)


def _of_each(nights: list[str], together: int) -> int | None:
    # Less than one a night is no 0, which would be all.
    return math.ceil(together / max(len(nights), 1)) or None


def shown_nights(
    context: NightContext, nights: list[str], catalog: Catalog, together: int
) -> ShownNights | None:
    """What was shown in all decisions of these nights; None where ``read_logs`` reads them all.

    Args:
        context: of tonight.
        nights: ISO dates.
        catalog: tonight's items.
        together: as given to ``read_logs``.
    """
    found = ShownNights(log_paths(context, nights), catalog, context.objectives)
    return found if found.longer_than(_of_each(nights, together)) else None


def log_parts(
    context: NightContext, night: str, catalog: Catalog, *, at_once: bool = False
) -> Iterator[BanditLog]:
    """All decisions of a night as of tonight, about ``split.night_decisions`` at a time.

    Each part has all decisions of its users. A night with no more is one part. Rewards are those
    that feedback brought: a catalogue without embeddings will do.

    Args:
        context: of tonight.
        night: ISO date.
        catalog: the items.
        at_once: one part, however large the night is.
    """
    (path,) = log_paths(context, [night])
    most = None if at_once else context.settings.split.night_decisions or None
    brought = tuple(o for o in context.objectives if o.source == "feedback")
    return read_in_parts(path, catalog, brought, most, context.settings.state.history_length)


def newest_embedded(context: NightContext) -> str | None:
    """The newest night, tonight included, whose items have embeddings."""
    for night in reversed(context.workspace.nights()):
        if night <= context.night and context.lake("embed", night).manifest() is not None:
            return night
    return None


def read_catalog(context: NightContext, night: str = "") -> Catalog:
    """A night's catalogue with its embeddings, tonight's unless given.

    Raises:
        MissingInputError: they were not made.
        DamagedError: a file is not as it was written.
    """
    from mrlm.embeddings.stored_catalog import EMBEDDING, ITEMS, load_catalog

    embed = context.lake("embed", night)
    embed.require()
    for name in (ITEMS, EMBEDDING):
        embed.path(name)
    return load_catalog(embed.folder)


def scene_fingerprint(context: NightContext) -> dict[str, str]:
    """Fingerprint of the vectors of tonight's described scenes; empty where none is described.

    Raises:
        MissingInputError: tonight's texts were not embedded.
    """
    outputs = context.lake("embed").require().outputs
    return {"scenes": outputs["scenes"].fingerprint} if "scenes" in outputs else {}


def read_scene_vectors(context: NightContext) -> dict[str, NDArray[np.float32]]:
    """The vectors of tonight's described scenes, by scene; empty where none is described.

    Raises:
        MissingInputError: tonight's texts were not embedded.
        DamagedError: the file is not as it was written.
    """
    from mrlm.embeddings.scene_vectors import SCENES, load_scene_vectors

    embed = context.lake("embed")
    return load_scene_vectors(embed.path(SCENES)) if "scenes" in embed.require().outputs else {}
