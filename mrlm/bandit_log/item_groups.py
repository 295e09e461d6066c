"""What an item counts for where shows are counted: itself, its provider, or its categories."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.catalog import Catalog
from mrlm.bandit_log.ragged import Ragged

GroupKind = Literal["items", "providers", "categories"]


def group_names(catalog: Catalog, kind: GroupKind, item: NDArray[np.integer]) -> Ragged:
    """Names of the groups of items, ragged str objects, one row an item.

    An item without a provider, or without a category, is in no group.

    Args:
        catalog: of the items.
        kind: what an item counts for.
        item: their codes, shape (n,).
    """
    if kind == "categories":
        of = catalog.categories.take(item.astype(np.int64))
        return Ragged(of.offsets, catalog.category_names[of.values])
    named = (catalog.item_id if kind == "items" else catalog.provider)[item]
    known = np.not_equal(named, "").astype(bool)
    return Ragged(np.concatenate([[0], np.cumsum(known)]).astype(np.int64), named[known])


def coded_groups(
    catalog: Catalog, kind: GroupKind, item: NDArray[np.integer]
) -> tuple[Ragged, NDArray[np.object_]]:
    """Codes of the groups of items, ragged int64, one row each, and the names, shape (groups,).

    Args:
        catalog: of the items.
        kind: what an item counts for.
        item: their codes, shape (n,); an item may come again and again.
    """
    items, place = np.unique(item, return_inverse=True)
    of_items = group_names(catalog, kind, items)
    names, code = np.unique(of_items.values.astype(str), return_inverse=True)
    return Ragged(of_items.offsets, code.astype(np.int64)).take(place), names.astype(object)
