"""How often a catalogue's items may be in a night's lists, and have to be."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mrlm.bandit_log import Catalog
from mrlm.policies.quotas.quotas import Quotas

_NAMED = 5


def list_quotas(
    catalog: Catalog, capacity: str, least_shown: str, of_providers: Mapping[str, float]
) -> Quotas | None:
    """The quotas that settings ask for; None where they ask for none.

    Args:
        catalog: of the lists.
        capacity: attribute with the slots that all lists together may give to an item; without it
            an item may take any number. Empty: no item has a limit.
        least_shown: attribute with the slots that they have to give to an item; an item without it
            needs none. Empty: none does.
        of_providers: slots that they have to give to a provider's items together.

    Raises:
        ValueError: no item has an attribute.
    """
    if not (capacity or least_shown or of_providers):
        return None
    provider, code = np.unique(catalog.provider.astype(str), return_inverse=True)
    return Quotas(
        most=_slots(catalog, "capacity", capacity, np.inf),
        least=_slots(catalog, "least_shown", least_shown, 0.0),
        group=code.astype(np.int64),
        least_of_group=np.array([of_providers.get(str(name), 0.0) for name in provider] or [0.0]),
    )


def too_few_shows(
    catalog: Catalog, quotas: Quotas, item_id: pa.Array, of_providers: Mapping[str, float]
) -> dict[str, dict[str, float]]:
    """What is in fewer slots than it has to be, by what it is: the slots ``asked`` and ``shown``.

    Args:
        catalog: of the lists.
        quotas: that the lists were drawn within.
        item_id: of every slot of the lists.
        of_providers: as for ``list_quotas``; a provider without an item is not shown.
    """
    shown = np.bincount(catalog.codes(item_id), minlength=len(catalog)).astype(np.float64)
    short = np.flatnonzero(shown < quotas.least)
    found = {
        f"item {catalog.item_id[i]}": {"asked": float(quotas.least[i]), "shown": float(shown[i])}
        for i in short
    }
    for provider, asked in sorted(of_providers.items()):
        of_provider = float(shown[catalog.provider == provider].sum())
        if of_provider < asked:
            found[f"provider {provider}"] = {"asked": asked, "shown": of_provider}
    return found


def few_shows_told(few: Mapping[str, Mapping[str, float]]) -> str:
    """A sentence on what ``too_few_shows`` found: how many, and those that lack the most."""
    lacking = sorted(few, key=lambda name: few[name]["shown"] - few[name]["asked"])
    named = ", ".join(
        f"{name} {few[name]['shown']:g} of {few[name]['asked']:g}" for name in lacking[:_NAMED]
    )
    more = f" and {len(few) - _NAMED} more" if len(few) > _NAMED else ""
    return f"{len(few)} are in fewer slots than they have to be: {named}{more}"


def _slots(catalog: Catalog, setting: str, attribute: str, without: float) -> NDArray[np.float64]:
    """Whole slots that each item may or has to take, shape (items,)."""
    if not attribute:
        return np.full(len(catalog), without)
    if attribute not in catalog.attributes:
        raise ValueError(
            f"publishing.{setting} needs the item attribute {attribute!r}; the catalogue has "
            f"{sorted(catalog.attributes)}"
        )
    slots = np.floor(np.maximum(catalog.attributes[attribute], 0.0))
    return np.where(np.isnan(slots), without, slots)
