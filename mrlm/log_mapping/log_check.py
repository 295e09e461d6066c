"""What a log holds, what it lacks for evaluating a night, and what looks wrong in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mrlm.log_mapping.column_facts import as_list, as_number, as_text
from mrlm.log_mapping.proposal import MappedTable, TableMapping
from mrlm.log_mapping.role_names import event_family, name_score
from mrlm.log_mapping.sampled_files import SampledFile, SampledTable, sample_tables
from mrlm.log_mapping.table_mapping import propose

_JOINED, _ODD = 0.5, 0.01
# Farther from the number of candidates than this the mean of 1/propensity is no accident.
_IDENTITY = 0.25
_BOT_REQUESTS = 500
_SHOWN_KINDS = 30
_NAMES = 20
_EXPERIENCE_LOG = "gittins experience log"
_DAY = 86_400
# A window takes in so many of the events; no proposal is longer.
_MOST, _LONGEST_WINDOW = 0.98, 14


@dataclass(frozen=True)
class LogFinding:
    """Something to know of a log.

    Attributes:
        kind: ``missing``, ``wrong`` or ``note``.
        table: that it is about; empty: the whole log.
        text: in plain words, with what to do.
        stops: whether no night can be evaluated while it is so.
    """

    kind: Literal["missing", "wrong", "note"]
    table: str
    text: str
    stops: bool = False


@dataclass(frozen=True)
class LogCheck:
    """What was found in a log.

    Attributes:
        root: the path that was checked.
        tables: table to the mapping that is proposed.
        beside: mappings of tables that another file holds already.
        unknown: files that hold no table.
        findings: in order of their weight.
        event_kinds: kind to how often the sample has it.
        window_nights: event to the nights after a show within which nearly all of them come.
        night_count: nights that the log holds, as far as the sample tells.
    """

    root: Path
    tables: dict[MappedTable, TableMapping]
    beside: tuple[TableMapping, ...] = ()
    unknown: tuple[SampledFile, ...] = ()
    findings: tuple[LogFinding, ...] = ()
    event_kinds: dict[str, int] = field(default_factory=dict)
    window_nights: dict[str, int] = field(default_factory=dict)
    night_count: int = 0

    @property
    def evaluable(self) -> bool:
        """Whether a night can be evaluated from the log."""
        return not any(f.stops for f in self.findings)

    @property
    def nights(self) -> tuple[str, ...]:
        """ISO dates that paths of impressions name."""
        shown = self.tables.get("impressions")
        return shown.sampled.nights if shown is not None else ()


def check_log(path: Path) -> LogCheck:
    """Read a sample of each file under a path, and say what it is.

    Args:
        path: a file, or a folder of files.

    Raises:
        FileNotFoundError: there is nothing at the path.
    """
    sampled, unknown = sample_tables(path)
    proposed = [mapping for table in sampled for mapping in propose(table)]
    tables: dict[MappedTable, TableMapping] = {}
    beside = []
    for mapping in sorted(proposed, key=_weight, reverse=True):
        if mapping.table in tables:
            beside.append(mapping)
        else:
            tables[mapping.table] = mapping
    _items_from_shows(tables)
    _candidates_from_items(tables)
    kinds = _event_kinds(tables)
    findings = [
        *_files(tables, beside, unknown, [t for t in sampled if not _used(t.pattern, proposed)]),
        *_about_impressions(tables),
        *_about_feedback(tables, kinds),
        *_about_items(tables),
    ]
    order = {"missing": 0, "wrong": 1, "note": 2}
    findings.sort(key=lambda f: (not f.stops, order[f.kind]))
    return LogCheck(
        path,
        tables,
        tuple(beside),
        tuple(unknown),
        tuple(findings),
        kinds,
        _windows(tables),
        _night_count(tables.get("impressions")),
    )


def _weight(mapping: TableMapping) -> tuple[bool, bool, int, int]:
    """Of several files for one table the fullest is taken; feedback's own before columns."""
    full = "propensity" in mapping.columns or not mapping.events
    joined = mapping.table != "items" or not mapping.rows
    return full, joined, len(mapping.columns), mapping.row_count


def _used(pattern: str, proposed: list[TableMapping]) -> bool:
    return any(m.sampled.pattern == pattern for m in proposed)


def _items_from_shows(tables: dict[MappedTable, TableMapping]) -> None:
    """Where no file holds items, they are what the impressions name."""
    shown = tables.get("impressions")
    if shown is None or "items" in tables:
        return
    among, rows = shown.columns.get("candidates"), shown.rows
    item = shown.columns["item_id"]
    if isinstance(among, str):
        head, _, tail = among.partition("[*]")
        item, rows = f"{head}[]{tail}", head
    columns: dict[str, str | list[str]] = {"item_id": item, "text": item}
    tables["items"] = TableMapping(
        "items", shown.sampled, columns, rows, shown.where, text_fields=["text"]
    )


def _candidates_from_items(tables: dict[MappedTable, TableMapping]) -> None:
    """Where impressions log no candidates, every item of the catalogue may have been one."""
    shown = tables.get("impressions")
    if shown is not None and "candidates" not in shown.columns and "items" in tables:
        shown.catalog_candidates = True


def _event_kinds(tables: dict[MappedTable, TableMapping]) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for name in ("feedback", "events"):
        mapping = tables.get(name)
        if mapping is None:
            continue
        if mapping.events:
            for event, source in mapping.events.items():
                column = mapping.facts.get(source.lstrip("-"))
                counted[event] += sum(n != 0 for n in column.numbers) if column else 0
        else:
            counted.update(mapping.texts("event").values())
    return dict(counted.most_common(_SHOWN_KINDS))


def _night_count(shown: TableMapping | None) -> int:
    """Nights by the paths, else by the times of a file that was read whole; 0: not known."""
    if shown is None:
        return 0
    if shown.sampled.nights:
        return len(shown.sampled.nights)
    column = shown.column("ts")
    if column is None or not all(f.whole for f in shown.sampled.files):
        return 0
    return len({int(s // _DAY) for s in column.seconds if s is not None})


def _windows(tables: dict[MappedTable, TableMapping]) -> dict[str, int]:
    shown, fed = tables.get("impressions"), tables.get("feedback")
    if shown is None or fed is None or fed.events:
        return {}
    times, events = shown.column("ts"), fed.column("ts")
    if times is None or events is None:
        return {}
    requests = shown.texts("request_id")
    when = {
        requests[i]: s for i, s in zip(times.at, times.seconds, strict=True) if i in requests and s
    }
    named, kinds = fed.texts("request_id"), fed.texts("event")
    nights: dict[str, list[int]] = {}
    for i, seconds in zip(events.at, events.seconds, strict=True):
        show = when.get(named.get(i, ""))
        if show is not None and seconds is not None and i in kinds:
            nights.setdefault(kinds[i], []).append(int(seconds // _DAY) - int(show // _DAY))
    return {
        kind: min(max(sorted(found)[int(_MOST * (len(found) - 1))], 0), _LONGEST_WINDOW)
        for kind, found in nights.items()
    }


def _files(
    tables: dict[MappedTable, TableMapping],
    beside: list[TableMapping],
    unknown: list[SampledFile],
    unplaced: list[SampledTable],
) -> Iterator[LogFinding]:
    for file in unknown[:10]:
        yield LogFinding("note", "", f"{file.path.name} {file.problem or 'holds no rows'}")
    for sampled in unplaced:
        names = list(sampled.first.rows[0])
        shown = ", ".join(names[:_NAMES]) + (", …" if len(names) > _NAMES else "")
        yield LogFinding(
            "note",
            "",
            f"{sampled.pattern} was read, and is none of the tables that are looked for; its "
            f"columns are {shown}. Where it is one of them, map them by hand",
        )
    for mapping in beside:
        if mapping.table == "feedback" and mapping.events:
            yield LogFinding(
                "note",
                "feedback",
                f"columns of the impressions tell of {', '.join(mapping.events)} too; those of "
                f"{tables['feedback'].sampled.pattern} are taken",
            )
            continue
        yield LogFinding(
            "wrong",
            mapping.table,
            f"{mapping.sampled.pattern} also looks like {mapping.table}, and a table is read from "
            f"one place: {tables[mapping.table].sampled.pattern} is taken. Where both belong to "
            "it, put them into one folder with the same columns",
        )
    for table, mapping in tables.items():
        sampled = mapping.sampled
        if any(f.packed == "zip" for f in sampled.files):
            yield LogFinding(
                "wrong",
                table,
                "ingestion reads no zip: unpack it, or pack it as gzip, and name that in the path",
            )
        if sampled.unread:
            text = f"{sampled.unread} of the sampled rows cannot be read; they will be quarantined"
            yield LogFinding("wrong", table, text)
        if not sampled.nights and table in ("impressions", "feedback", "events"):
            yield LogFinding(
                "note",
                table,
                "the path names no night: each night takes the rows whose own time lies in it",
            )


def _about_impressions(tables: dict[MappedTable, TableMapping]) -> Iterator[LogFinding]:
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
    yield from _about_times(shown)
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
    yield from _about_propensities(shown, tables.get("items"))
    yield from _about_lists(shown)
    yield from _about_requests(shown)


def _about_times(shown: TableMapping) -> Iterator[LogFinding]:
    column = shown.column("ts")
    if "ts" not in shown.columns:
        yield LogFinding(
            "missing",
            shown.table,
            "no time: no row tells when it was, so it belongs to no night",
            stops=True,
        )
    elif column is not None and column.time_form == "naive":
        yield LogFinding(
            "wrong",
            shown.table,
            f"{column.source} has times without an offset: they are read as what the clocks of "
            "ingestion.time_zone showed, UTC by default. Set it, if the log's clocks show another",
        )
    elif column is not None and column.time_form == "date":
        yield LogFinding(
            "wrong",
            shown.table,
            f"{column.source} has dates without a time of day: neither sessions nor what came "
            "before what can be told",
        )
    elif column is not None and column.time_form in ("seconds", "milliseconds", "microseconds"):
        text = f"{column.source} counts {column.time_form} since 1970"
        yield LogFinding("note", shown.table, text)


def _about_propensities(shown: TableMapping, items: TableMapping | None) -> Iterator[LogFinding]:
    column = shown.column("propensity")
    if column is None:
        suspects = [
            c for s, c in shown.facts.items() if name_score("propensity", s) >= 3 and c.numbers
        ]
        for suspect in suspects:
            low, high = min(suspect.numbers), max(suspect.numbers)
            told = "percentages" if 1 < high <= 100 else "logarithms" if high <= 0 else "no chances"
            yield LogFinding(
                "wrong",
                "impressions",
                f"{suspect.source} is called like a propensity and lies between {low:g} and "
                f"{high:g}: these look like {told}. A propensity is above 0 and at most 1",
            )
        return
    numbers = [as_number(v) for v in column.values]
    known = [n for n in numbers if n is not None]
    outside = sum(not 0 < n <= 1 for n in known) + numbers.count(None)
    if outside:
        yield LogFinding(
            "wrong",
            "impressions",
            f"{outside} of {len(numbers)} sampled propensities are not above 0 and at most 1; "
            "these rows will be quarantined",
        )
    if known and all(n == 1 for n in known):
        yield LogFinding(
            "wrong",
            "impressions",
            "every propensity is 1: the log says that nothing was left to chance, so nothing can "
            "be said of any other policy. Either the logger did not explore, or it logs something "
            "else",
            stops=True,
        )
        return
    if column.share < 1 - _ODD:
        yield LogFinding(
            "wrong",
            "impressions",
            f"{1 - column.share:.1%} of the sampled impressions have no propensity; they will be "
            "quarantined",
        )
    inverse = [1 / n for n in known if n > 0]
    sizes, whose = _candidate_numbers(shown, items)
    if inverse and sizes and len(inverse) >= 100:
        mean, expected = sum(inverse) / len(inverse), sum(sizes) / len(sizes)
        agrees = abs(mean / expected - 1) <= _IDENTITY
        yield LogFinding(
            "note" if agrees else "wrong",
            "impressions",
            f"the mean of 1/propensity is {mean:.1f} and {whose} {expected:.1f}; "
            + (
                "they agree, as they do where propensities and candidates are true"
                if agrees
                else "they should agree. Either the propensities are no probabilities of this "
                "choice, or the candidates are not all that could be shown"
            ),
        )


def _candidate_numbers(shown: TableMapping, items: TableMapping | None) -> tuple[list[int], str]:
    lists = _lists(shown, "candidates")
    if lists:
        return [len(v) for v in lists.values()], "the mean number of candidates is"
    if shown.catalog_candidates and items is not None:
        number = len(set(items.texts("item_id").values()))
        return ([number] if number else []), "the number of items is"
    return [], ""


def _lists(mapping: TableMapping, name: str) -> dict[int, list[str]]:
    """Row to the elements of a column of lists that is named as it is."""
    source = mapping.columns.get(name)
    if not isinstance(source, str):
        return {}
    column = mapping.facts.get(source.split("[*]")[0])
    if column is None:
        return {}
    found = {}
    for i, value in zip(column.at, column.values, strict=True):
        values = as_list(value)
        if values:
            found[i] = [as_text(v) for v in values]
    return found


def _about_lists(shown: TableMapping) -> Iterator[LogFinding]:
    source = str(shown.columns.get("candidates", ""))
    item = shown.texts("item_id")
    if source and "[" not in source and item:
        lists = _lists(shown, "candidates")
        both = [i for i in item if i in lists]
        lacking = sum(item[i] not in lists[i] for i in both)
        if both and lacking:
            text = f"{lacking} of {len(both)} sampled shows are of an item that is no candidate"
            yield LogFinding("wrong", "impressions", f"{text}; they will be quarantined")
    chances = _lists(shown, "candidate_propensities")
    numbers = {i: [as_number(v) for v in values] for i, values in chances.items()}
    sums = [sum(n for n in v if n is not None) for v in numbers.values()]
    off = sum(abs(s - 1) > _ODD for s in sums)
    if off > _ODD * len(sums):
        text = f"the candidate propensities of {off} of {len(sums)} sampled rows do not sum to 1"
        yield LogFinding("wrong", "impressions", text)


def _about_requests(shown: TableMapping) -> Iterator[LogFinding]:
    requests, positions = shown.texts("request_id"), shown.texts("position")
    keys = Counter((r, positions.get(i, "")) for i, r in requests.items())
    again = sum(n - 1 for n in keys.values())
    if again > _ODD * max(len(requests), 1):
        yield LogFinding(
            "wrong",
            "impressions",
            f"{again} of {len(requests)} sampled rows have the request and position of another; "
            "they will count as duplicates. Is the right column taken for request_id?",
        )


def _about_feedback(
    tables: dict[MappedTable, TableMapping], kinds: dict[str, int]
) -> Iterator[LogFinding]:
    fed, history = tables.get("feedback"), tables.get("events")
    if history is not None and kinds:
        text = "; ".join(f"{k} ({n}): {event_family(k)}" for k, n in kinds.items())
        yield LogFinding(
            "note",
            "events",
            f"{len(kinds)} kinds of events go into the user's history: {text}",
        )
    if history is not None and "ts" not in history.columns:
        yield LogFinding(
            "missing",
            "events",
            "no time: a time is ISO 8601, or a number that counts from 1970 and lies between 2000 "
            "and 2100",
        )
    if fed is None:
        yield LogFinding(
            "missing",
            "feedback",
            "no file says what came of a show: an event that names the request that it belongs to"
            + (". The events that are there name none" if history is not None else ""),
            stops=True,
        )
        return
    for name, why in fed.made.items():
        yield LogFinding("note", "feedback", f"{name}: {why}")
    shown = tables.get("impressions")
    if fed.format_name == _EXPERIENCE_LOG:
        yield LogFinding(
            "missing",
            "feedback",
            "no item and no time: resolutions name their decision alone. 'mrlm logs convert' joins "
            "the two and writes the contract's tables; check what it wrote",
            stops=True,
        )
        return
    if "ts" not in fed.columns:
        yield LogFinding("missing", "feedback", "no time: nothing tells when it came", stops=True)
    if "item_id" not in fed.columns:
        yield from _about_slots(shown)
    if fed.events or shown is None:
        return
    yield from _about_times(fed)
    requests, events = set(shown.texts("request_id").values()), fed.texts("request_id")
    whole = all(f.whole for m in (shown, fed) for f in m.sampled.files)
    joined = sum(e in requests for e in events.values())
    if events and not joined:
        yield LogFinding(
            "wrong",
            "feedback",
            "no request id of the feedback is one of the impressions"
            + ("" if whole else " in the sample")
            + ": its events would belong to nothing. Is the right column taken for request_id?",
            stops=whole,
        )
    elif events and joined < _JOINED * len(events):
        text = f"only {joined} of {len(events)} sampled events name a request of the impressions"
        yield LogFinding("wrong" if whole else "note", "feedback", text)
    else:
        yield from _joined_items(shown, fed)


def _about_slots(shown: TableMapping | None) -> Iterator[LogFinding]:
    """Of feedback that names no item: whether its request has one slot alone."""
    requests = Counter(shown.texts("request_id").values()) if shown is not None else Counter()
    several = sum(n > 1 for n in requests.values())
    if several > _ODD * max(len(requests), 1):
        yield LogFinding(
            "missing",
            "feedback",
            f"no item: its events name a request alone, and {several} of {len(requests)} sampled "
            "requests show several items. Have the logger write which one it was",
            stops=True,
        )
    else:
        yield LogFinding(
            "note", "feedback", "no item: each event belongs to the only slot of its request"
        )


def _joined_items(shown: TableMapping, fed: TableMapping) -> Iterator[LogFinding]:
    items, requests = shown.texts("item_id"), shown.texts("request_id")
    slots = {(r, items[i]) for i, r in requests.items() if i in items}
    named, event_items = fed.texts("request_id"), fed.texts("item_id")
    both = [(r, event_items[i]) for i, r in named.items() if i in event_items]
    of_known = [slot for slot in both if slot[0] in set(requests.values())]
    if items and of_known and not any(slot in slots for slot in of_known):
        yield LogFinding(
            "wrong",
            "feedback",
            "its events name requests of the impressions, and never an item that was shown there: "
            "are items called differently in the two files?",
            stops=True,
        )


def _about_items(tables: dict[MappedTable, TableMapping]) -> Iterator[LogFinding]:
    items, shown = tables.get("items"), tables.get("impressions")
    if items is None:
        yield LogFinding(
            "missing",
            "items",
            "no file says what the items are: their text, category, numbers",
        )
        return
    if not items.facts:
        if not items.format_name:
            yield LogFinding(
                "missing",
                "items",
                "no file says what the items are: each item that the impressions name becomes one "
                "whose text is its id, so nothing can be learned for items that were never shown",
            )
        return
    if items.text_fields == [items.columns["item_id"]]:
        yield LogFinding(
            "missing",
            "items",
            "no text: the id of an item stands for one, so items have nothing in common",
        )
    elif not any(c.wordy for s in items.text_fields if (c := items.facts.get(s))):
        yield LogFinding(
            "note",
            "items",
            f"{', '.join(items.text_fields)} hold codes and no words: a language model reads "
            'nothing in them, so the settings say embedding.encoder = "hashing"',
        )
    if shown is not None:
        known = set(items.texts("item_id").values())
        seen = set(shown.texts("item_id").values())
        lost = seen - known
        whole = all(f.whole for f in items.sampled.files)
        if seen and len(lost) > _ODD * len(seen):
            yield LogFinding(
                "wrong" if whole else "note",
                "items",
                f"{len(lost)} of {len(seen)} shown items are not among the items"
                + ("" if whole else " of the sample")
                + "; their impressions would be quarantined",
                stops=whole and len(lost) == len(seen),
            )
    requests = Counter(shown.texts("user_id").values()) if shown is not None else Counter()
    if requests and max(requests.values()) > _BOT_REQUESTS:
        yield LogFinding(
            "note",
            "impressions",
            f"one user has {max(requests.values())} rows in the sample: above "
            f"{_BOT_REQUESTS} requests a night a user counts as a bot, see "
            "ingestion.bot_requests_per_night",
        )
