"""Faults planted in known nights, each with its size stated beforehand, and clean nights.

Nights are arrays; they are judged by the rule functions of the pipeline. ``python -m`` prints what
the first line of each summary says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from mrlm.bandit_log.catalog import ITEMS_SCHEMA, Catalog
from mrlm.log_checks.drift import INDEX_FLOOR, stability_index
from mrlm.log_checks.show_counts import NIGHT, ShowCounts
from mrlm.log_checks.shows import ShowLimits, detectable, detectable_surprise
from mrlm.report.night_page import first_line
from pipelines.expectations import impressions, items
from pipelines.expectations.night_shape import night_shape, shapes_of, with_item_groups
from pipelines.expectations.night_statistics import shares
from pipelines.expectations.suite import Rule
from pipelines.expectations.whole_night import whole_night
from pipelines.settings.validation import Validation
from tests.log_checks.show_nights import (
    CATEGORIES,
    LARGE,
    SMALL,
    Floats,
    ShowNight,
    ShowWorld,
    alone,
    as_policy,
    backwards,
    exchanged,
    likeliest,
    of_slots,
    show_night,
    uniform,
)

SETTINGS = Validation()
LIMITS = ShowLimits(SETTINGS.shows_error, SETTINGS.shows_tolerance)
NIGHTS = 7


@dataclass
class Delivered:
    """What arrived of one night.

    Attributes:
        shown: its slots.
        catalog: the items, as they are known tonight.
        rates: of events.
        raw: raw rows of the three tables and what was quarantined of them.
        one_propensity: whether the log holds the shown item's propensity alone.
    """

    shown: ShowNight
    catalog: Catalog
    rates: dict[str, float]
    raw: dict[str, dict[str, Any]]
    one_propensity: bool = False


@dataclass(frozen=True)
class Planted:
    """A fault.

    Attributes:
        name: of the fault and its family.
        world: in which it is planted.
        plant: changes what was delivered.
        told: what the first line of the summary must say, a regular expression.
        size: of the fault, in the unit of its limit, from the delivered night.
        limit: documented limit of detection, in the same unit.
    """

    name: str
    world: ShowWorld
    plant: Callable[[Delivered], None]
    told: str
    size: Callable[[Delivered, Delivered], float]
    limit: Callable[[Delivered, Delivered], float]


def catalog_of(world: ShowWorld, **changes: Any) -> Catalog:
    """The world's items: a category, a provider, year and popularity."""
    rng = np.random.default_rng(world.slots)
    year = rng.integers(1950, 2020, world.items).astype(float)
    rows = [
        {
            "item_id": f"m{i}",
            "text": f"Item {i}",
            "categories": [f"category {i % CATEGORIES}"],
            "provider": f"provider {i % 5}",
            "attributes": [("year", float(year[i]))],
        }
        for i in range(world.items)
    ]
    for name, change in changes.items():
        for i, row in enumerate(rows):
            row[name] = change(i, row[name])
    return Catalog.from_table(pa.Table.from_pylist(rows, schema=ITEMS_SCHEMA))


def delivered(world: ShowWorld, seed: int) -> Delivered:
    """A clean night, with the dirt that every night has."""
    rng = np.random.default_rng([seed, 1])
    shown = show_night(world, seed)
    rate = 0.2 * np.exp(world.nightly * rng.normal())
    raw: dict[str, dict[str, Any]] = {"catalog": {"items": world.items}}
    for table in ("impressions", "feedback", "items"):
        many = len(shown.candidates)
        raw[table] = {"raw": many, "quarantined": {"no_ts": int(rng.binomial(many, 0.01))}}
    seen = rng.binomial(len(shown.candidates), rate) / len(shown.candidates)
    return Delivered(shown, catalog_of(world), {"click": float(seen)}, raw)


def judged(
    night: Delivered, trailing: list[dict[str, Any]]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Statistics and failures of a night, as validation finds them."""
    counts = alone(night.shown, LIMITS) if night.one_propensity else night.shown.counts()
    if night.one_propensity:
        counts = replace(counts, sizes=night.shown.counts().sizes)
    shape = night_shape(counts, night.rates, night.catalog, shapes_of(trailing))
    counts = with_item_groups(counts, night.catalog)
    found, rules = whole_night(counts, arms_of(counts), shape, trailing, SETTINGS)
    table_counts = {t: night.raw[t] for t in ("impressions", "feedback", "items")}
    found |= shares(table_counts) | {"catalog": night.raw["catalog"]["items"]}
    found["impressions"] = len(night.shown.candidates)
    rules += impressions.statistic_rules(SETTINGS, found, trailing)
    failures = [*broken(rules, found, "impressions")]
    failures += broken(items.statistic_rules(SETTINGS), found, "items")
    return found, failures


def arms_of(counts: ShowCounts) -> dict[str, float]:
    """Users by policy: every request is one user's here."""
    policy = [s for s in counts.sums if s.kind == "policy"]
    if not policy:
        return {}
    return {str(a): float(n) for a, n in zip(policy[0].groups, policy[0].slots // 6, strict=True)}


def broken(rules: list[Rule], found: Mapping[str, Any], table: str) -> Iterator[dict[str, Any]]:
    """Failures of rules on statistics, as Great Expectations judges a column of one value."""
    for rule in rules:
        bounds = dict(rule.arguments)
        assert rule.expectation == "ExpectColumnValuesToBeBetween"
        value = found[bounds.pop("column")]
        assert set(bounds) <= {"min_value", "max_value"}
        if bounds.get("min_value", -np.inf) <= value <= bounds.get("max_value", np.inf):
            continue
        yield {
            "table": table,
            "expectation": rule.name,
            "severity": rule.severity,
            "observed": rule.told or value,
            "expected": rule.expected,
            "why": rule.why,
            "rows": list(rule.examples),
        }


@dataclass
class History:
    """Consecutive nights of a world, judged one after the other."""

    world: ShowWorld
    statistics: list[dict[str, Any]] = field(default_factory=list)

    def next(self, night: Delivered) -> list[dict[str, Any]]:
        """Failures of the next night, which joins the trailing ones if it passes."""
        found, failures = judged(night, self.statistics[-NIGHTS:])
        if not any(f["severity"] == "critical" for f in failures):
            self.statistics.append(found)
        return failures


def trailing_of(world: ShowWorld) -> list[dict[str, Any]]:
    """Statistics of seven clean nights."""
    history = History(world)
    for seed in range(1_000, 1_000 + NIGHTS):
        history.next(delivered(world, seed))
    return history.statistics


def summary_of(planted: Planted, trailing: list[dict[str, Any]], seed: int) -> str:
    """First line of the summary of a night with the fault."""
    night = delivered(planted.world, seed)
    planted.plant(night)
    return first_line("2026-11-20", judged(night, trailing)[1])


# --- propensities -------------------------------------------------------------------------------


def logs(change: Callable[[ShowNight], Floats]) -> Callable[[Delivered], None]:
    """A fault of what the log says of the candidates."""

    def plant(night: Delivered) -> None:
        night.shown = replace(night.shown, logged=change(night.shown))

    return plant


def alone_and(plant: Callable[[Delivered], None]) -> Callable[[Delivered], None]:
    """The fault in a log of the shown item's propensity alone."""

    def both(night: Delivered) -> None:
        plant(night)
        night.one_propensity = True

    return both


def chooses_uniformly(world: ShowWorld, seed: int) -> Callable[[Delivered], None]:
    """Items are drawn uniformly, and the softmax is logged."""

    def plant(night: Delivered) -> None:
        drawn = show_night(world, seed, lambda shown, _: uniform(shown))
        night.shown = replace(drawn, logged=night.shown.logged)

    return plant


def largest_ratio(clean: Delivered, night: Delivered) -> float:
    """True over logged expectation, less one, of the item where it is largest against its limit."""
    ratio, upper = _ratios(night)
    return float(ratio[np.argmax((ratio - 1) / (upper - 1))]) - 1


def ratio_limit(clean: Delivered, night: Delivered) -> float:
    """What that item's ratio is to exceed by its documented limit."""
    ratio, upper = _ratios(night)
    return float(upper[np.argmax((ratio - 1) / (upper - 1))]) - 1


def _ratios(night: Delivered) -> tuple[Floats, Floats]:
    shown = night.shown
    item, many = shown.candidates.values, len(shown.items)
    logged = np.bincount(item, shown.logged, many)
    true = np.bincount(item, shown.truth, many)
    slots = np.bincount(item, minlength=many).astype(float)
    _, upper = detectable(logged, slots, many, LIMITS)
    return true / logged, upper


def shift_of(kind: str, label: str) -> tuple[Callable[..., float], Callable[..., float]]:
    """Expected shift of a group's mean log propensity, and its limit, in nats."""

    def shift(clean: Delivered, night: Delivered) -> float:
        shown = night.shown
        mine = np.ones(len(shown.truth), bool) if kind == NIGHT else of_slots(shown, kind, label)
        gap = ((shown.truth - shown.logged) * np.log(shown.logged))[mine].sum()
        return float(abs(gap)) / float(len(np.unique(shown.candidates.row[mine])))

    def limit(clean: Delivered, night: Delivered) -> float:
        counts = night.shown.counts()
        groups = 2 * sum(len(s.groups) for s in counts.sums) + 2
        sums = next(s for s in counts.sums if s.kind == kind)
        return float(detectable_surprise(sums, LIMITS, groups)[sums.groups.tolist().index(label)])

    return shift, limit


def not_normalised(scene: str) -> Callable[[ShowNight], Floats]:
    """Propensities of one scene that sum to 0.7."""

    def change(shown: ShowNight) -> Floats:
        return np.where(of_slots(shown, "scene", scene), 0.7 * shown.truth, shown.truth)

    return change


def one_item(share: float) -> Callable[[ShowNight], Floats]:
    """The most shown item is logged at a share of its propensity, the others take the rest."""

    def change(shown: ShowNight) -> Floats:
        mine = shown.candidates.values == likeliest(shown)[0]
        row = shown.candidates.row
        own = np.bincount(row, np.where(mine, shown.truth, 0.0))
        rest = np.bincount(row, np.where(mine, 0.0, shown.truth))
        others = shown.truth * ((1 - share * own) / rest)[row]
        return np.where(mine, share * shown.truth, others)

    return change


def propensity_faults(world: ShowWorld, seed: int) -> list[Planted]:
    """Faults of the logger of propensities."""
    shown = show_night(world, seed)
    order = likeliest(shown)
    first, other = int(order[0]), int(order[len(order) // 2])
    scene = world.scenes[-1]
    one_scene = len(world.scenes) == 1
    exchange = logs(lambda s: exchanged(world, s, first, other))
    where = "" if one_scene else f"scene {scene}: "
    sums_to = ((lambda c, n: 0.3), (lambda c, n: SETTINGS.propensity_sum_tolerance))
    ratio = (largest_ratio, ratio_limit)

    def fault(
        name: str, plant: Callable[[Delivered], None], told: str, measure: tuple[Any, Any]
    ) -> Planted:
        return Planted(f"propensities: {name}", world, plant, told, *measure)

    found = [
        fault("logged as uniform", logs(uniform), r"logged as if uniform: item m\d+ shown", ratio),
        fault(
            "uniform choice logged as a softmax",
            chooses_uniformly(world, seed),
            r"shown as if uniform, logged otherwise: item m\d+ shown",
            shift_of(NIGHT, ""),
        ),
        fault(
            "two items exchanged",
            exchange,
            rf"items (m{first} and m{other}|m{other} and m{first}) exchanged",
            ratio,
        ),
        fault(
            "one item at a seventh",
            logs(one_item(0.15)),
            rf"shows do not follow the propensities: item m{first} shown",
            ratio,
        ),
        fault(
            "lists of one position backwards",
            logs(lambda s: backwards(s, of_slots(s, "position", "2"))),
            "position 2, logged with the propensities of another choice",
            shift_of("position", "2"),
        ),
        fault(
            "all lists backwards",
            logs(lambda s: backwards(s, np.ones(len(s.truth), bool))),
            "impressions: logged with the propensities of another choice",
            shift_of(NIGHT, ""),
        ),
        fault(
            "one scene not normalised",
            logs(not_normalised(scene)),
            rf"{where}candidate propensities do not sum to 1",
            sums_to,
        ),
        fault(
            "one propensity a slot, logged as uniform",
            alone_and(logs(uniform)),
            r"item m\d+: 1/propensity of its shows sums to",
            ratio,
        ),
        fault(
            "one propensity a slot, one scene not normalised",
            alone_and(logs(not_normalised(scene))),
            rf"{where}1/propensity is on average 1\.\d+ times",
            sums_to,
        ),
    ]
    if not one_scene:
        found += [
            fault(
                "lists of one hour backwards",
                logs(lambda s: backwards(s, of_slots(s, "hour", "15"))),
                "hour 15, logged with the propensities of another choice",
                shift_of("hour", "15"),
            ),
            fault(
                "one policy logged with another's",
                logs(
                    lambda s: np.where(
                        of_slots(s, "policy", "explore"),
                        as_policy(world, s, world.coefficient["champion"]),
                        s.truth,
                    )
                ),
                "policy explore, ",
                shift_of("policy", "explore"),
            ),
        ]
    return found


# --- catalogue ----------------------------------------------------------------------------------


def raw_share(table: str, reason: str, share: float) -> Callable[[Delivered], None]:
    """A share of a table's rows in quarantine."""

    def plant(night: Delivered) -> None:
        many = night.raw[table]["raw"]
        night.raw[table]["quarantined"][reason] = int(share * many) + 1

    return plant


def items_that(world: ShowWorld, **changes: Any) -> Callable[[Delivered], None]:
    """Items whose rows of the catalogue were changed."""

    def plant(night: Delivered) -> None:
        night.catalog = catalog_of(world, **changes)

    return plant


def fewer_candidates(night: Delivered) -> None:
    """Retrieval delivers the first half of each slot's candidates."""
    shown = night.shown
    lengths = shown.candidates.lengths
    row = shown.candidates.row
    at = np.arange(len(row)) - shown.candidates.offsets[row]
    kept = (at < np.maximum(lengths // 2, 1)[row]) | (at == shown.chosen[row])
    half = np.bincount(row, kept).astype(np.int64)
    sizes = {int(p): 0.0 for p in range(20)}
    for place in np.searchsorted(np.array(_sizes()), half):
        sizes[int(place)] += 1.0
    counted = shown.counts()
    night.shown = _Counted(**vars(shown), counted=replace(counted, sizes=sizes))


@dataclass(frozen=True)
class _Counted(ShowNight):
    counted: ShowCounts | None = None

    def counts(self) -> ShowCounts:
        assert self.counted is not None
        return self.counted


def _sizes() -> tuple[int, ...]:
    from mrlm.log_checks.show_counts import SIZES

    return SIZES


def index_of(name: str) -> tuple[Callable[..., float], Callable[..., float]]:
    """Stability index of a feature against a clean night, and its threshold."""

    def index(clean: Delivered, night: Delivered) -> float:
        first = night_shape(clean.shown.counts(), {}, clean.catalog, [])
        second = night_shape(night.shown.counts(), {}, night.catalog, [first])
        a, b = first.histograms[name], second.histograms[name]
        labels = sorted({*a, *b})
        x, y = (np.array([h.get(k, 0.0) for k in labels]) for h in (a, b))
        return stability_index(y, x)

    return index, lambda clean, night: INDEX_FLOOR


def catalogue_faults(world: ShowWorld, _: int) -> list[Planted]:
    """Faults of the items and of the retrieval that offers them."""

    def fault(
        name: str, plant: Callable[[Delivered], None], told: str, size: Any, limit: Any
    ) -> Planted:
        return Planted(f"catalogue: {name}", world, plant, told, size, limit)

    def share(table: str, reason: str, limit: float) -> tuple[Any, Any]:
        return (
            lambda c, n: n.raw[table]["quarantined"][reason] / n.raw[table]["raw"],
            lambda c, n: limit,
        )

    first = "category 1"
    return [
        fault(
            "1 % of the shown items unknown",
            raw_share("impressions", "unknown_item", 0.01),
            "impressions: unknown items: saw 0.01",
            *share("impressions", "unknown_item", SETTINGS.unknown_item_share),
        ),
        fault(
            "a third of the items in quarantine",
            raw_share("items", "no_text", 0.33),
            "items: items in quarantine: saw 0.3",
            *share("items", "no_text", SETTINGS.quarantined_share),
        ),
        fault(
            "no items at all",
            lambda night: night.raw["catalog"].update(items=0),
            "items: catalogue: saw 0, expected at least one item in all",
            lambda c, n: 1.0,
            lambda c, n: 0.5,
        ),
        fault(
            "a category under another name",
            items_that(
                world,
                categories=lambda i, old: ["Category 1"] if old == [first] else old,
            ),
            "category of shown items moved by .*: .*[cC]ategory 1 ",
            *index_of("category of shown items"),
        ),
        fault(
            "a provider's items without it",
            items_that(world, provider=lambda i, old: None if i % 5 < 2 else old),
            "provider of shown items moved by ",
            *index_of("provider of shown items"),
        ),
        fault(
            "years in another unit",
            items_that(world, attributes=lambda i, old: [("year", old[0][1] / 100)]),
            r"year of shown items moved by .*: up to \d+ 100.0% of the slots",
            *index_of("year of shown items"),
        ),
        fault(
            "half of the years missing",
            items_that(world, attributes=lambda i, old: old if i % 2 else []),
            "year of shown items moved by .*: unknown ",
            *index_of("year of shown items"),
        ),
        fault(
            "half of each slot's candidates",
            fewer_candidates,
            "number of candidates moved by ",
            *index_of("number of candidates"),
        ),
    ]


def all_planted(seed: int) -> list[Planted]:
    """Every fault in both worlds."""
    return [
        planted
        for world in (SMALL, LARGE)
        for family in (propensity_faults, catalogue_faults)
        for planted in family(world, seed)
    ]


def named(planted: Planted, line: str) -> bool:
    """Whether the first line names the fault."""
    return re.search(planted.told, line) is not None


def report(seed: int = 1) -> Iterator[str]:
    """A line for each fault: its size beside its limit, whether it was named, the first line."""
    trailing = {w.slots: trailing_of(w) for w in (SMALL, LARGE)}
    for planted in all_planted(seed):
        clean, night = delivered(planted.world, seed), delivered(planted.world, seed)
        planted.plant(night)
        size, limit = planted.size(clean, night), planted.limit(clean, night)
        line = summary_of(planted, trailing[planted.world.slots], seed)
        yield (
            f"{'named ' if named(planted, line) else 'MISSED'} {planted.world.slots:6d} "
            f"{size / limit:5.1f}x {planted.name}: {line}"
        )


if __name__ == "__main__":
    for told in report():
        print(told)
