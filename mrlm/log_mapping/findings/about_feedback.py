"""What feedback lacks, and whether it belongs to what was shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mrlm.log_mapping.findings.about_times import about_times
from mrlm.log_mapping.findings.finding import ODD, LogFinding
from mrlm.log_mapping.proposal import MappedTable, TableMapping
from mrlm.log_mapping.role_names import event_family

_JOINED = 0.5
_EXPERIENCE_LOG = "gittins experience log"


def about_feedback(
    tables: dict[MappedTable, TableMapping], kinds: dict[str, int]
) -> Iterator[LogFinding]:
    """What is to be known of feedback and of a history; ``kinds``: of events, with their number."""
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
    yield from about_times(fed)
    requests, events = set(shown.texts("request_id").values()), fed.texts("request_id")
    whole = shown.sampled.whole and fed.sampled.whole
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
    if several > ODD * max(len(requests), 1):
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
    known = set(requests.values())
    of_known = [slot for slot in both if slot[0] in known]
    if items and of_known and not any(slot in slots for slot in of_known):
        yield LogFinding(
            "wrong",
            "feedback",
            "its events name requests of the impressions, and never an item that was shown there: "
            "are items called differently in the two files?",
            stops=True,
        )
