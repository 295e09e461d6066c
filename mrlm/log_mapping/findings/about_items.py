"""What items lack, and whether they are those that were shown."""

from __future__ import annotations

from collections.abc import Iterator

from mrlm.log_mapping.findings.finding import ODD, LogFinding
from mrlm.log_mapping.proposal import MappedTable, TableMapping


def about_items(tables: dict[MappedTable, TableMapping]) -> Iterator[LogFinding]:
    """What is to be known of the items."""
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
        whole = items.sampled.whole
        if seen and len(lost) > ODD * len(seen):
            yield LogFinding(
                "wrong" if whole else "note",
                "items",
                f"{len(lost)} of {len(seen)} shown items are not among the items"
                + ("" if whole else " of the sample")
                + "; their impressions would be quarantined",
                stops=whole and len(lost) == len(seen),
            )
