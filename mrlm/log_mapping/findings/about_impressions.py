"""What impressions lack for evaluating a night, and what looks wrong in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mrlm.log_mapping.column_facts import as_number
from mrlm.log_mapping.findings.about_propensities import about_propensities
from mrlm.log_mapping.findings.about_times import about_times
from mrlm.log_mapping.findings.candidate_lists import lists_of
from mrlm.log_mapping.findings.finding import ODD, LogFinding
from mrlm.log_mapping.proposal import MappedTable, TableMapping
from mrlm.log_mapping.sample_counts import day_of_rows

_BOT_REQUESTS = 500


def about_impressions(tables: dict[MappedTable, TableMapping]) -> Iterator[LogFinding]:
    """What is to be known of the impressions, or what it means that there are none."""
    shown = tables.get("impressions")
    if shown is None:
        yield LogFinding(
            "missing",
            "impressions",
            "no file says what was shown: a row for every item that a user was shown, with when, "
            "to whom, in which place, out of which candidates and with which probability. Without "
            "it no night can be evaluated: events alone do not tell what else could be shown",
            stops=True,
        )
        yield LogFinding(
            "missing",
            "impressions",
            "propensities: the probability with which each shown item was chosen. Have the logger "
            "write it at the moment of the choice",
        )
        yield LogFinding(
            "missing",
            "impressions",
            "candidates: the items that each place could have shown",
        )
        return
    if "propensity" not in shown.columns:
        yield LogFinding(
            "missing",
            "impressions",
            "no propensity: nothing says with which probability the shown item was chosen. The "
            'settings say ingestion.propensity = "estimated": it is estimated, all evidence says '
            "so, and the gate promotes nobody unless gate.allow_estimated_propensities is set. "
            "Have the logger write it",
        )
    yield from about_times(shown)
    if "candidates" not in shown.columns:
        if shown.catalog_candidates:
            yield LogFinding(
                "missing",
                "impressions",
                "no candidates: every item of the catalogue is taken as one that could have been "
                "shown. Where fewer could be, log them, or all evidence is wrong",
            )
        else:
            yield LogFinding(
                "missing",
                "impressions",
                "no candidates, and no table of items that could stand for them: nothing says what "
                "else could have been shown",
                stops=True,
            )
    for name, why in shown.made.items():
        yield LogFinding(
            "missing" if why.startswith("no ") else "note", "impressions", f"{name}: {why}"
        )
    yield from about_propensities(shown, tables.get("items"))
    yield from _about_lists(shown)
    yield from _about_requests(shown)
    yield from _about_users(shown)


def _about_lists(shown: TableMapping) -> Iterator[LogFinding]:
    source = str(shown.columns.get("candidates", ""))
    item = shown.texts("item_id")
    if source and "[" not in source and item:
        lists = lists_of(shown, "candidates")
        both = [i for i in item if i in lists]
        lacking = sum(item[i] not in lists[i] for i in both)
        if both and lacking:
            text = f"{lacking} of {len(both)} sampled shows are of an item that is no candidate"
            yield LogFinding("wrong", "impressions", f"{text}; they will be quarantined")
    chances = lists_of(shown, "candidate_propensities")
    numbers = {i: [as_number(v) for v in values] for i, values in chances.items()}
    sums = [sum(n for n in v if n is not None) for v in numbers.values()]
    off = sum(abs(s - 1) > ODD for s in sums)
    if off > ODD * len(sums):
        text = f"the candidate propensities of {off} of {len(sums)} sampled rows do not sum to 1"
        yield LogFinding("wrong", "impressions", text)


def _about_requests(shown: TableMapping) -> Iterator[LogFinding]:
    requests, positions = shown.texts("request_id"), shown.texts("position")
    keys = Counter((r, positions.get(i, "")) for i, r in requests.items())
    again = sum(n - 1 for n in keys.values())
    if again > ODD * max(len(requests), 1):
        yield LogFinding(
            "wrong",
            "impressions",
            f"{again} of {len(requests)} sampled rows have the request and position of another; "
            "they will count as duplicates. Is the right column taken for request_id?",
        )


def _about_users(shown: TableMapping) -> Iterator[LogFinding]:
    users, requests, times = shown.texts("user_id"), shown.texts("request_id"), shown.column("ts")
    days = day_of_rows(times) if times is not None else {}
    asked = {(user, days.get(i), requests.get(i, str(i))) for i, user in users.items()}
    most = max(Counter((user, day) for user, day, _ in asked).values(), default=0)
    if most > _BOT_REQUESTS:
        yield LogFinding(
            "note",
            "impressions",
            f"one user has {most} requests on one day of the sample: above "
            f"{_BOT_REQUESTS} requests a night a user counts as a bot, see "
            "ingestion.bot_requests_per_night",
        )
