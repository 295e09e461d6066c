"""Requests of one slot, as the version takes them and as data frames."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd

from mrlm.promotion.serving.live import HistoryEntry, LiveRequest, LiveVersion

CANDIDATES, ENTRIES = 100, 50
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def request(live: LiveVersion, seed: int) -> LiveRequest:
    """A request for one slot, with candidates and a history that are drawn anew."""
    g = np.random.default_rng(seed)
    names = live.bundle.catalog.item_id
    candidates = [str(n) for n in names[g.choice(len(names), CANDIDATES, replace=False)]]
    shown = names[g.choice(len(names), ENTRIES, replace=False)]
    history = [
        HistoryEntry(str(n), {"like": float(g.integers(2)), "rating": float(g.normal())})
        for n in shown
    ]
    return LiveRequest(f"r{seed}", "u", candidates, history, k=1)


def frame(asked: LiveRequest) -> pd.DataFrame:
    """The request as the registered version takes it."""
    history = asked.history or []
    return pd.DataFrame(
        {
            "request_id": [asked.request_id],
            "user": [asked.user],
            "candidates": [asked.candidates],
            "history_items": [[e.item_id for e in history]],
            "history_rewards": [
                {name: [e.rewards[name] for e in history] for name in ("like", "rating")}
            ],
        }
    )
