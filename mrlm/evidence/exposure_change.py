"""What users will see: who is shown more and less, and a few decisions side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Catalog
from mrlm.bandit_log.ragged import segment_sum
from mrlm.bandit_log.users import group
from mrlm.metrics.exposure import category_entropy, coverage, exposure, gini
from mrlm.privacy.small_groups import users_in

Floats = NDArray[np.float64]
# What a page has room for, each way; and the candidates of a decision.
_MOST, _PLACES = 8, 5
# Of decisions ordered by how much of their probability moves: a typical one, and two that move far.
_SAMPLED = {"typical": 0.5, "one in ten moves more": 0.9, "moves most": 1.0}


def exposure_change(
    log: BanditLog, challenger: Floats, champion: Floats, least_users: int = 1
) -> dict[str, Any]:
    """Expected shows of items, providers and categories under both policies, as plain JSON.

    Args:
        log: n decisions with N candidates.
        challenger: probability of every candidate, float64, shape (N,).
        champion: the same of the champion.
        least_users: what was offered to fewer users is left out.

    Returns:
        ``items``, ``providers`` and ``categories``: those that win and lose most, each ``{name,
        champion, challenger}`` in shows of 100, items with their ``title``; and ``figures``:
        ``moved``, the share of shows that would change (mean total variation), and by policy the
        ``gini`` of items' shows, the ``coverage`` (share of the offered items that are expected to
        be shown at least once) and the ``category_entropy`` in nats.
    """
    catalog, item = log.decisions.catalog, log.decisions.candidates.values
    items = len(catalog.item_id)
    n = max(len(log), 1)
    shown = {
        "champion": exposure(champion, item, items),
        "challenger": exposure(challenger, item, items),
    }
    told = _told(log, least_users)
    offered = np.bincount(item, minlength=items) > 0
    titles = {"title": catalog.text}
    found: dict[str, Any] = {"items": _movers(catalog.item_id, shown, told, n, titles)}
    names, provider = np.unique(catalog.provider.astype(str), return_inverse=True)
    if len(names) > 1:
        by_provider = {
            p: np.bincount(provider, s, len(names)).astype(np.float64) for p, s in shown.items()
        }
        some = np.bincount(provider, told & offered, len(names)) > 0
        found["providers"] = _movers(names, by_provider, some, n)
    if len(catalog.category_names) > 1:
        by_category = {p: _of_categories(s, catalog) for p, s in shown.items()}
        some = _of_categories((told & offered).astype(float), catalog) > 0
        found["categories"] = _movers(catalog.category_names, by_category, some, n)
    found["figures"] = {
        "moved": float(_moved(log, challenger, champion).mean()) if len(log) else 0.0,
        **{policy: _figures(s, offered, catalog) for policy, s in shown.items()},
    }
    return found


def sampled_decisions(
    log: BanditLog, challenger: Floats, champion: Floats, least_users: int = 1
) -> list[dict[str, Any]]:
    """A typical decision and two that move far, with the candidates that matter, as plain JSON.

    Nothing in it tells whose decision it was: scene, position and every candidate of such a
    decision are those of many users. Where no decision is so, there is none.

    Args:
        log: n decisions with N candidates.
        challenger: probability of every candidate, float64, shape (N,).
        champion: the same of the champion.
        least_users: fewest users of a scene, a position and an item that are shown.

    Returns:
        Each ``{which, scene, position, moved, candidates}`` with up to five candidates, those that
        the two want most, the challenger's favourites first: ``{item_id, title, champion,
        challenger}``.
    """
    moved, decisions = _moved(log, challenger, champion), log.decisions
    common = np.flatnonzero(_common(log, least_users))
    if not len(common):
        return []
    order = common[np.argsort(moved[common], kind="stable")]
    places = {which: order[int(q * (len(order) - 1))] for which, q in _SAMPLED.items()}
    return [
        {
            "which": which,
            "scene": str(decisions.scene[i]),
            "position": int(decisions.position[i]),
            "moved": float(moved[i]),
            "candidates": _candidates(log, int(i), challenger, champion),
        }
        for which, i in places.items()
    ]


def _told(log: BanditLog, least_users: int) -> NDArray[np.bool_]:
    """Which items were offered to enough users, shape (items,)."""
    user = np.repeat(group(log.decisions.user)[1], np.diff(log.decisions.offsets))
    item = log.decisions.candidates.values.astype(np.int64)
    enough: NDArray[np.bool_] = (
        users_in(item, user, len(log.decisions.catalog.item_id)) >= least_users
    )
    return enough


def _common(log: BanditLog, least_users: int) -> NDArray[np.bool_]:
    """Which decisions are like those of enough users in all that is shown of them, shape (n,)."""
    decisions, user = log.decisions, group(log.decisions.user)[1]
    rare = ~_told(log, least_users)[decisions.candidates.values]
    common: NDArray[np.bool_] = segment_sum(rare.astype(np.float64), decisions.offsets) == 0
    for own in (decisions.scene, decisions.position):
        names, code = np.unique(own, return_inverse=True)
        common &= (users_in(code, user, len(names)) >= least_users)[code]
    return common


def _candidates(
    log: BanditLog, i: int, challenger: Floats, champion: Floats
) -> list[dict[str, Any]]:
    catalog, offsets = log.decisions.catalog, log.decisions.offsets
    own = np.arange(offsets[i], offsets[i + 1])
    wanted = own[np.argsort(-(challenger + champion)[own], kind="stable")][:_PLACES]
    best = wanted[np.argsort(-challenger[wanted], kind="stable")]
    code = log.decisions.candidates.values[best]
    return [
        {
            "item_id": str(catalog.item_id[c]),
            "title": str(catalog.text[c]),
            "champion": float(champion[k]),
            "challenger": float(challenger[k]),
        }
        for k, c in zip(best, code, strict=True)
    ]


def _moved(log: BanditLog, challenger: Floats, champion: Floats) -> Floats:
    """Total variation between the policies in each decision, shape (n,)."""
    apart: Floats = segment_sum(np.abs(challenger - champion), log.decisions.offsets) / 2
    return apart


def _movers(
    names: NDArray[Any],
    shown: dict[str, Floats],
    told: NDArray[np.bool_],
    decisions: int,
    more: dict[str, NDArray[Any]] | None = None,
) -> list[dict[str, Any]]:
    """Those that win most, then those that lose most, the largest loss last."""
    gain = shown["challenger"] - shown["champion"]
    order = [i for i in np.argsort(-gain, kind="stable") if told[i] and gain[i] != 0]
    winners = [i for i in order if gain[i] > 0][:_MOST]
    losers = [i for i in order if gain[i] < 0][-_MOST:]
    return [
        {
            "name": str(names[i]),
            **{key: str(values[i]) for key, values in (more or {}).items()},
            **{policy: float(100 * s[i] / decisions) for policy, s in shown.items()},
        }
        for i in (*winners, *losers)
    ]


def _of_categories(shown: Floats, catalog: Catalog) -> Floats:
    """Shows of each category; an item's are split evenly over its categories."""
    lengths = catalog.categories.lengths
    share = np.divide(shown, lengths, out=np.zeros(len(shown)), where=lengths > 0)
    return np.bincount(
        catalog.categories.values.astype(np.int64),
        np.repeat(share, lengths),
        minlength=len(catalog.category_names),
    ).astype(np.float64)


def _figures(
    shown: Floats, offered: NDArray[np.bool_], catalog: Catalog
) -> dict[str, float | None]:
    found = {"gini": gini(shown[offered]), "coverage": coverage(shown[offered])}
    entropy = category_entropy(shown, catalog.categories, len(catalog.category_names))
    plain = {**found, "category_entropy": entropy}
    return {name: value if np.isfinite(value) else None for name, value in plain.items()}
