"""The dirt of real logs, in counts that are stated.

Every dirty row is an extra row with one fault, made from a copy of a true one under an identifier
of its own, so that the true log stays as it is. The exceptions are stated too: a few whole requests
arrive a night late, and a few so late that they are lost.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mrlm.worlds.lines import DUPLICATE, LATE, Line, dump

Row = dict[str, Any]
Fault = Callable[[Row], Row | str]

UNKNOWN_ITEM = "m999999"
BOT_USER = "u-bot"


@dataclass(frozen=True)
class DirtSettings:
    """How much dirt a night gets; nights count from 0.

    Attributes:
        repeats: how often each fault of the tables below appears in a night.
        duplicates: impressions written twice in one night, half of the copies altered.
        old_duplicates: impressions written again one night later.
        delayed_requests: requests that arrive one night late; clean, they reopen their night.
        lost_requests: requests that arrive after ``late_nights`` nights more; late, so lost.
        late_nights: the ingestion's limit that this dirt is written for.
        bot_nights: nights on which a bot comes.
        bot_requests: its requests, above the ingestion's limit of 500.
        broken_night: a night whose logged propensities are wrong, or None.
        broken_factor: what they are multiplied by: the bug of a logger that multiplied the share of
            the traffic into them.
        changed_items: items whose text changes on each night but the first two.
    """

    repeats: int = 1
    duplicates: int = 12
    old_duplicates: int = 6
    delayed_requests: int = 3
    lost_requests: int = 2
    late_nights: int = 2
    bot_nights: tuple[int, ...] = (3, 8)
    bot_requests: int = 510
    broken_night: int | None = 9
    broken_factor: float = 0.5
    changed_items: int = 5

    @classmethod
    def none(cls) -> DirtSettings:
        """A clean log."""
        return cls(0, 0, 0, 0, 0, bot_nights=(), broken_night=None, changed_items=0)


@dataclass(frozen=True)
class Arrivals:
    """When each request's impressions arrive.

    Attributes:
        delayed: request numbers that come one night late.
        lost: request numbers that come too late.
    """

    delayed: frozenset[int] = field(default_factory=frozenset)
    lost: frozenset[int] = field(default_factory=frozenset)


def draw_arrivals(
    requests_of_night: list[list[int]], settings: DirtSettings, rng: np.random.Generator
) -> Arrivals:
    """Which requests come late; none from the broken night, and none delayed into it or past it."""
    nights = len(requests_of_night)
    delayed: set[int] = set()
    lost: set[int] = set()
    for night, requests in enumerate(requests_of_night):
        wanted = settings.delayed_requests + settings.lost_requests
        drawn = rng.permutation(np.array(requests, np.int64))[:wanted].tolist()
        if night == settings.broken_night:
            continue
        if night + 1 < nights and night + 1 != settings.broken_night:
            delayed.update(drawn[: settings.delayed_requests])
        if night + settings.late_nights + 1 < nights:
            lost.update(drawn[settings.delayed_requests :])
    return Arrivals(frozenset(delayed), frozenset(lost))


def impression_dirt(
    rows: list[Row],
    old_rows: list[Row],
    known_items: list[str],
    night: int,
    date: str,
    settings: DirtSettings,
    rng: np.random.Generator,
) -> list[Line]:
    """Dirty impressions of one arrival night.

    Args:
        rows: the night's clean rows in the order in which they are written.
        old_rows: rows that came clean on an earlier night.
        known_items: identifiers in the catalogue as of this night.
        night: from 0.
        date: ISO date of the night.
        settings: how much.
        rng: drawn from in a fixed order.
    """
    lines = []
    for k, i in enumerate(_some(len(rows), settings.duplicates, rng)):
        copy = dict(rows[i])
        if k % 2:
            # The earlier row wins, so what a retry changed must not reach the log.
            copy["propensity"] *= 0.5
            copy["policy_id"] = "retry"
            copy["ts"] = _moved(copy["ts"], 1)
        lines.append(Line(dump(copy), DUPLICATE, after=i))
    lines += [
        Line(dump(old_rows[i]), DUPLICATE)
        for i in _some(len(old_rows), settings.old_duplicates, rng)
    ]
    stranger = known_items[int(rng.integers(len(known_items)))]
    faults = _impression_faults(date, stranger) if rows else []
    for number, (reason, fault) in enumerate(faults * settings.repeats):
        row = deepcopy(rows[int(rng.integers(len(rows)))])
        row["request_id"], row["position"] = f"x{date}-{number:04d}", 1
        lines.append(_fault(row, reason, fault))
    if night in settings.bot_nights:
        lines += _bot(known_items, date, settings, rng)
    return lines


def _impression_faults(date: str, stranger: str) -> list[tuple[str, Fault]]:
    tomorrow = f"{np.datetime64(date) + 1}T02:00:00.000Z"
    return [
        ("unparsable", lambda r: dump(r)[: len(dump(r)) // 2]),
        ("unparsable", lambda r: dump(r)[:-1]),
        ("unparsable", lambda r: "#### log rotated ####"),
        ("wrong_type", lambda r: r | {"propensity": "high"}),
        ("wrong_type", lambda r: r | {"position": "first"}),
        ("wrong_type", lambda r: r | {"candidates": ",".join(r["candidates"])}),
        ("wrong_type", lambda r: r | {"ts": "yesterday"}),
        ("missing_field", lambda r: r | {"request_id": None}),
        ("missing_field", lambda r: r | {"ts": None}),
        ("missing_field", lambda r: r | {"item_id": None}),
        ("missing_field", lambda r: _without(r, "position")),
        ("null_user", lambda r: r | {"user_id": None}),
        ("null_user", lambda r: r | {"user_id": None}),
        ("null_user", lambda r: _without(r, "user_id")),
        ("missing_propensity", lambda r: r | {"propensity": None}),
        ("missing_propensity", lambda r: _without(r, "propensity")),
        ("propensity_out_of_range", lambda r: r | {"propensity": 0.0}),
        ("propensity_out_of_range", lambda r: r | {"propensity": 0.0}),
        ("propensity_out_of_range", lambda r: r | {"propensity": 1.2}),
        ("propensity_out_of_range", lambda r: r | {"propensity": 1.2}),
        ("no_candidates", lambda r: r | {"candidates": [], "candidate_propensities": []}),
        ("no_candidates", lambda r: r | {"candidates": None, "candidate_propensities": None}),
        ("shown_not_in_candidates", lambda r: _offer(r, r["item_id"], stranger)),
        ("unknown_item", lambda r: _offer(r, _other(r), UNKNOWN_ITEM)),
        (
            "unknown_item",
            lambda r: _offer(r | {"item_id": UNKNOWN_ITEM}, r["item_id"], UNKNOWN_ITEM),
        ),
        ("future_ts", lambda r: r | {"ts": tomorrow}),
    ]


def _bot(
    known_items: list[str], date: str, settings: DirtSettings, rng: np.random.Generator
) -> list[Line]:
    lines = []
    size = min(20, len(known_items))
    for number in range(settings.bot_requests):
        offered = sorted(known_items[i] for i in rng.permutation(len(known_items))[:size].tolist())
        second = number * 86_000 // settings.bot_requests
        row = {
            "request_id": f"b{date}-{number:04d}",
            "ts": f"{np.datetime64(date, 's') + second}.000Z",
            "user_id": BOT_USER,
            "scene": "home",
            "position": 1,
            "item_id": offered[int(rng.integers(size))],
            "propensity": 1.0 / size,
            "candidates": offered,
            "candidate_propensities": [1.0 / size] * size,
            "propensity_kind": "conditional",
            "policy_id": "uniform",
            "context": {"hour": float(second // 3600)},
        }
        lines.append(Line(dump(row), "bot"))
    return lines


def feedback_dirt(
    rows: list[Row],
    old_rows: list[Row],
    late_rows: list[Row],
    date: str,
    settings: DirtSettings,
    rng: np.random.Generator,
) -> list[Line]:
    """Dirty feedback of one arrival night; arguments as of ``impression_dirt``.

    ``late_rows`` are events of earlier nights' impressions whose windows have closed; they come
    under new identifiers and with another value, which must not reach the log.
    """
    lines = []
    for k, i in enumerate(_some(len(rows), settings.duplicates, rng)):
        retry = {"value": -1.0, "ts": _moved(rows[i]["ts"], 1)}
        copy = rows[i] | (retry if k % 2 else {})
        lines.append(Line(dump(copy), DUPLICATE, after=i))
    lines += [
        Line(dump(old_rows[i]), DUPLICATE)
        for i in _some(len(old_rows), settings.old_duplicates, rng)
    ]
    noon = f"{date}T12:00:00.000Z"
    for number, row in enumerate(late_rows):
        changed = {"event_id": f"l{date}-{number:04d}", "ts": noon, "value": -1.0}
        lines.append(Line(dump(row | changed), LATE))
    faults = _feedback_faults(date) if rows else []
    for number, (reason, fault) in enumerate(faults * settings.repeats):
        row = dict(rows[int(rng.integers(len(rows)))])
        row["event_id"] = f"x{date}-{number:04d}"
        lines.append(_fault(row, reason, fault))
    return lines


def _moved(ts: str, milliseconds: int) -> str:
    return f"{np.datetime64(ts.removesuffix('Z'), 'ms') + milliseconds}Z"


def unattributed_feedback(date: str, settings: DirtSettings, rows: list[Row]) -> list[Row]:
    """Clean events of requests that nobody logged."""
    return [
        row | {"request_id": f"g{date}", "event_id": f"g{date}-{k}"}
        for k, row in enumerate(rows[: 3 * settings.repeats])
    ]


def _feedback_faults(date: str) -> list[tuple[str, Fault]]:
    tomorrow = f"{np.datetime64(date) + 1}T02:00:00.000Z"
    return [
        ("unparsable", lambda r: dump(r)[: len(dump(r)) // 2]),
        ("unparsable", lambda r: "{"),
        ("wrong_type", lambda r: r | {"value": "five"}),
        ("wrong_type", lambda r: r | {"ts": "yesterday"}),
        ("missing_field", lambda r: r | {"event_id": None}),
        ("missing_field", lambda r: r | {"request_id": None}),
        ("missing_field", lambda r: r | {"item_id": None}),
        ("missing_field", lambda r: r | {"ts": None}),
        ("missing_field", lambda r: r | {"event": None}),
        ("missing_field", lambda r: _without(r, "value")),
        ("future_ts", lambda r: r | {"ts": tomorrow}),
    ]


def item_dirt(
    rows: list[Row], date: str, settings: DirtSettings, rng: np.random.Generator
) -> list[Line]:
    """Dirty items of one arrival night."""
    lines = []
    for i in _some(len(rows), 2 * settings.repeats, rng):
        # The newer row wins.
        old = {"text": "An older copy.", "updated_at": _moved(rows[i]["updated_at"], -1)}
        lines.append(Line(dump(rows[i] | old), DUPLICATE, after=i))
    faults = _item_faults() if rows else []
    for number, (reason, fault) in enumerate(faults * settings.repeats):
        row = deepcopy(rows[int(rng.integers(len(rows)))])
        row["item_id"] = f"x{date}-{number:04d}"
        lines.append(_fault(row, reason, fault))
    return lines


def _item_faults() -> list[tuple[str, Fault]]:
    return [
        ("unparsable", lambda r: dump(r)[: len(dump(r)) // 2]),
        ("wrong_type", lambda r: r | {"attributes": "many"}),
        ("missing_field", lambda r: r | {"item_id": None}),
        ("wrong_type", lambda r: r | {"attributes": [1.0]}),
        ("missing_field", lambda r: _without(r, "item_id")),
    ]


def _fault(row: Row, reason: str, fault: Fault) -> Line:
    faulty = fault(row)
    return Line(faulty if isinstance(faulty, str) else dump(faulty), reason)


def _without(row: Row, name: str) -> Row:
    return {k: v for k, v in row.items() if k != name}


def _other(row: Row) -> str:
    """A candidate that was not shown."""
    return str(next(c for c in row["candidates"] if c != row["item_id"]))


def _offer(row: Row, old: str, new: str) -> Row:
    """The row with candidate ``old`` replaced by ``new``, or taken out where ``new`` is there."""
    pairs = list(zip(row["candidates"], row["candidate_propensities"], strict=True))
    if new in row["candidates"]:
        pairs = [(c, p) for c, p in pairs if c != old]
    pairs = [(new if c == old else c, p) for c, p in pairs]
    return row | {
        "candidates": [c for c, _ in pairs],
        "candidate_propensities": [p for _, p in pairs],
    }


def _some(n: int, wanted: int, rng: np.random.Generator) -> list[int]:
    """Distinct numbers below ``n``, at most ``wanted``, as drawn."""
    drawn: list[int] = rng.permutation(n)[:wanted].tolist()
    return drawn
