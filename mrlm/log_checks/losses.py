"""Whether a night's events were delivered whole, told from counts and rates.

A click that was lost looks like a user who did not click. Where the logger counts what it sends,
that is exact; elsewhere a loss shows as a fall of the event's rate against the nights before and
against the other events, as an hour without events, or as items without them. A loss of a few
percent at random cannot be told from a quieter night: ``smallest_loss`` says from where on it can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, pdtrc, stdtr, stdtrit

# Spread between nights that is assumed beside what the trailing nights show, as if it had been seen
# on so many nights: a few trailing nights may be alike by chance.
_NIGHT_SPREAD, _NIGHT_SPREAD_SEEN = 0.05, 4.0
_SHARE_SPREAD, _SHARE_SPREAD_SEEN = 0.05, 4.0
_HOUR_SPREAD, _HOUR_SPREAD_SEEN = 0.2, 24.0
# Shows by which an item's rate is drawn to the rate of all items.
_ITEM_PRIOR_SHOWS = 20.0
# Squared relative spread of an item's rate from night to night.
_ITEM_SPREAD = 0.1
# Fewer events than this on an ordinary night carry no other event's check.
_ENOUGH = 20.0
_POWER = 0.8
# Share of the error for the two tests of rates: a lost hour or item is far more than chance gives.
_RATES = 0.8


@dataclass(frozen=True)
class NightEvents:
    """What arrived on one night of one event.

    Attributes:
        shows: slots of that night that arrived on it.
        hits: those of them with the event, arrived on the same night.
        by_hour: float64, shape (24,), attributed events by the hour of their time.
        item_shows: int64, shape (items,), ``shows`` by item; items are the same on all nights.
        item_hits: int64, shape (items,), ``hits`` by item.
    """

    shows: int
    hits: int
    by_hour: NDArray[np.float64] = field(default_factory=lambda: np.zeros(24))
    item_shows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    item_hits: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))


@dataclass(frozen=True)
class LossSign:
    """One sign that events are missing.

    Attributes:
        sign: what shows it.
        observed: events that came.
        expected: events that were to be expected.
        where: hours of the day in UTC, or positions of items; empty for the whole night.
        p_value: chance of such a sign on a night that was delivered whole.
    """

    sign: Literal["rate", "rate against other events", "hours", "items"]
    observed: float
    expected: float
    where: tuple[int, ...]
    p_value: float


@dataclass(frozen=True)
class EventLoss:
    """What the rates say of one event's delivery.

    Attributes:
        signs: the signs that chance does not explain; empty: the delivery passes for whole.
        smallest_loss: share of the night's events whose loss at random would be found with 80 %
            power; NaN without trailing nights.
    """

    signs: tuple[LossSign, ...]
    smallest_loss: float


def losses(
    now: Sequence[NightEvents], trailing: Sequence[Sequence[NightEvents]], error: float
) -> tuple[EventLoss, ...]:
    """What the rates say of each event's delivery on one night.

    A rate is compared on the log scale with the trailing nights' by a t test whose variance is that
    between nights, drawn to a stated spread; once by itself, and once relative to the other events,
    so that a night on which everything is quieter hides no loss and makes none. Hours and items are
    tested within the night, by the lower tail of a negative binomial. All tests of all events share
    ``error`` (Bonferroni).

    Args:
        now: E events of the night that is judged.
        trailing: the same events of each night before it that was delivered whole.
        error: chance that any finding is made on a night that was delivered whole.

    Returns:
        One entry an event.
    """
    if not (trailing and now):
        return tuple(EventLoss((), float("nan")) for _ in now)
    each, within = _RATES * error / (2 * len(now)), (1 - _RATES) * error / (2 * len(now))
    rates = np.array([_log_rate(e) for e in now])
    before = np.array([[_log_rate(e) for e in night] for night in trailing])
    expected = np.array([e.shows for e in now]) * np.exp(before.mean(0))
    found = []
    for j, event in enumerate(now):
        own = [night[j] for night in trailing]
        tests = [_night_test(event, own, rates[j], before[:, j], _NIGHT_SPREAD, _NIGHT_SPREAD_SEEN)]
        kinds: list[Literal["rate", "rate against other events"]] = ["rate"]
        others = [i for i in range(len(now)) if i != j and expected[i] >= _ENOUGH]
        if others:
            gap, gaps = rates[j] - rates[others].mean(), before[:, j] - before[:, others].mean(1)
            noise = float(np.mean(1 / expected[others])) / len(others)
            tests.append(
                _night_test(event, own, gap, gaps, _SHARE_SPREAD, _SHARE_SPREAD_SEEN, noise)
            )
            kinds.append("rate against other events")
        signs: list[LossSign] = [
            LossSign(sign, event.hits, expected[j] * _ratio(test, event, expected[j]), (), test.p)
            for sign, test in zip(kinds, tests, strict=True)
            if test.p < each
        ]
        signs += _hours(event, own, within)
        signs += _items(event, own, within)
        found.append(EventLoss(tuple(signs), min(test.smallest(each) for test in tests)))
    return tuple(found)


@dataclass(frozen=True)
class _Test:
    """A fall on the log scale, with its standard error and degrees of freedom."""

    fall: float
    standard_error: float
    degrees: float

    @property
    def p(self) -> float:
        return float(stdtr(self.degrees, -self.fall / self.standard_error))

    def smallest(self, error: float) -> float:
        """Share whose loss is found with 80 % power."""
        reach = stdtrit(self.degrees, 1 - error) + stdtrit(self.degrees, _POWER)
        return float(-np.expm1(-reach * self.standard_error))


def _log_rate(event: NightEvents) -> float:
    return float(np.log((event.hits + 0.5) / (event.shows + 1.0)))


def _night_test(
    event: NightEvents,
    own: Sequence[NightEvents],
    now: float,
    before: NDArray[np.float64],
    spread: float,
    seen: float,
    noise: float = 0.0,
) -> _Test:
    """The t test of a log rate against those of the trailing nights.

    ``noise`` is the counting variance of what the rate was taken relative to.
    """
    k, middle = len(before), float(before.mean())
    degrees = seen + k - 1
    counting = np.array([1 / (e.hits + 0.5) for e in own]) + noise
    floor = float(counting.mean()) + spread**2
    variance = (seen * floor + float(((before - middle) ** 2).sum())) / degrees
    # A night with fewer shows than usual counts less exactly than the trailing ones did.
    usual = float(np.mean([e.shows for e in own]))
    more = max(usual / max(event.shows, 1) - 1.0, 0.0) * float(counting.mean())
    return _Test(middle - now, float(np.sqrt(variance * (1 + 1 / k) + more)), degrees)


def _ratio(test: _Test, event: NightEvents, expected: float) -> float:
    """Expected events of the test over those by the plain mean rate."""
    return float((event.hits + 0.5) * np.exp(test.fall)) / max(expected, 0.5)


def _hours(event: NightEvents, own: Sequence[NightEvents], error: float) -> list[LossSign]:
    """Hours with too few events, given those of the other hours."""
    before = np.array([e.by_hour for e in own])
    used = before[before.sum(1) >= _ENOUGH]
    if not len(used) or event.by_hour.sum() < 1:
        return []
    share = (used.sum(0) + 0.5) / (used + 0.5).sum()
    rest = event.by_hour.sum() - event.by_hour
    expected = rest * share / (1 - share)
    # Of the hour's own rate between nights, and of what is known of its usual share.
    spread = _hour_spread(used) + 1 / (used.sum(0) + 0.5)
    p = _at_most(event.by_hour, expected, spread)
    hours = np.flatnonzero(p < error / 24)
    if not len(hours):
        return []
    observed = float(event.by_hour[hours].sum())
    return [
        LossSign(
            "hours",
            observed,
            float(expected[hours].sum()),
            tuple(map(int, hours)),
            float(min(1.0, 24 * p.min())),
        )
    ]


def _hour_spread(used: NDArray[np.float64]) -> float:
    """Squared relative spread of an hour's share between nights, beyond that of counting."""
    shares = used / used.sum(1, keepdims=True)
    usual = used.sum(0) / used.sum()
    busy = used.mean(0) >= _ENOUGH / 2
    nights = len(used)
    if nights < 2 or not busy.any():
        return _HOUR_SPREAD**2
    relative = ((shares[:, busy] / usual[busy] - 1) ** 2).sum()
    counting = (1 / (used.sum(1, keepdims=True) * usual[busy])).sum() * (1 - 1 / nights)
    seen = busy.sum() * (nights - 1)
    between = max(float(relative - counting), 0.0)
    return (_HOUR_SPREAD_SEEN * _HOUR_SPREAD**2 + between) / (_HOUR_SPREAD_SEEN + float(seen))


def _at_most(
    count: NDArray[np.float64], mean: NDArray[np.float64], spread: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Chance of at most ``count`` under a negative binomial with variance mean + spread mean^2."""
    size = 1 / spread
    chance: NDArray[np.float64] = betainc(size, np.floor(count) + 1, size / (size + mean))
    return chance


def _items(event: NightEvents, own: Sequence[NightEvents], error: float) -> list[LossSign]:
    """Items without any event although they were shown as often as before."""
    if not len(event.item_shows):
        return []
    shows = np.sum([e.item_shows for e in own], axis=0, dtype=np.float64)
    hits = np.sum([e.item_hits for e in own], axis=0, dtype=np.float64)
    if hits.sum() < _ENOUGH or event.hits < 1:
        return []
    overall = hits.sum() / shows.sum()
    rate = (hits + _ITEM_PRIOR_SHOWS * overall) / (shows + _ITEM_PRIOR_SHOWS)
    expected = event.item_shows * rate
    expected = expected * (event.hits / max(expected.sum(), 1e-300))
    spread = _ITEM_SPREAD + 1 / (hits + _ITEM_PRIOR_SHOWS * overall)
    none = _at_most(np.zeros(len(expected)), expected, spread)
    looked = np.flatnonzero(expected >= 1.0)
    if not len(looked):
        return []
    silent = looked[event.item_hits[looked] == 0]
    alone = silent[none[silent] < error / (2 * len(looked))]
    many = float(pdtrc(len(silent) - 1, none[looked].sum())) if len(silent) else 1.0
    if many < error / 2:
        where, p = silent, many
    elif len(alone):
        where, p = alone, float(none[alone].min() * len(looked))
    else:
        return []
    order = where[np.argsort(-expected[where], kind="stable")]
    return [LossSign("items", 0.0, float(expected[where].sum()), tuple(map(int, order)), p)]
