"""Keep MLflow's aliases where the ledger says they belong."""

from __future__ import annotations

from mrlm.promotion.ledger import Entry, champion_stack
from mrlm.promotion.place import RegistryPlace
from mrlm.promotion.registry import (
    CHAMPION,
    PREVIOUS,
    aliases,
    all_versions,
    annotate_version,
    set_alias,
)


class AliasMovedError(RuntimeError):
    """An alias was moved outside the ledger."""


def last_move(entries: tuple[Entry, ...]) -> Entry | None:
    """The last entry that moved the aliases, or None."""
    moves = [e for e in entries if e.kind in ("initial", "promoted", "rolled_back")]
    return moves[-1] if moves else None


def expected_aliases(entries: tuple[Entry, ...]) -> dict[str, int | None]:
    """Version that each of champion and previous_champion belongs on."""
    stack = champion_stack(entries)
    return {
        PREVIOUS: stack[-2] if len(stack) > 1 else None,
        CHAMPION: stack[-1] if stack else None,
    }


def misplaced(place: RegistryPlace, entries: tuple[Entry, ...]) -> list[str]:
    """What is wrong with the aliases, in words; nothing when they are where they belong."""
    now, move = aliases(place), last_move(entries)
    done = move is None or _done(place, move)
    out = []
    for alias, version in expected_aliases(entries).items():
        if now.get(alias) != version:
            cause = "moved outside the ledger" if done else "a killed call left it"
            out.append(
                f"alias {alias} is on version {now.get(alias)}, the ledger says {version}: {cause}"
            )
    return out


def settle(place: RegistryPlace, entries: tuple[Entry, ...]) -> bool:
    """Finish the alias move of the last entry where a killed call left it half way.

    previous_champion moves first, so that champion always has a way back. The version keeps the
    entry's hash as a tag, written last: it says that the move is done, and later that the entry
    was not cut off the ledger's end. The caller holds the registry's lock.

    Returns:
        Whether there was something to finish.

    Raises:
        AliasMovedError: the aliases are neither where this entry nor where the one before it
            would have them.
    """
    wrong = misplaced(place, entries)
    move = last_move(entries)
    if move is None or _done(place, move):
        if wrong:
            raise AliasMovedError(
                "; ".join(wrong)
                + ". Find out who did it, then put the aliases back with restore_aliases "
                "(mrlm verify --restore)"
            )
        return False
    before, after = expected_aliases(entries[: move.sequence]), expected_aliases(entries)
    now = aliases(place)
    for alias in (PREVIOUS, CHAMPION):
        if now.get(alias) not in (before[alias], after[alias]):
            raise AliasMovedError(
                f"alias {alias} is on version {now.get(alias)}: neither {before[alias]}, where it "
                f"was, nor {after[alias]}, where the ledger's entry {move.sequence} moves it"
            )
    restore_aliases(place, entries)
    return True


def restore_aliases(place: RegistryPlace, entries: tuple[Entry, ...]) -> None:
    """Put the aliases where the ledger says, whoever moved them; the caller holds the lock."""
    for alias, version in expected_aliases(entries).items():
        set_alias(place, alias, version)
    move = last_move(entries)
    if move is not None and move.version is not None:
        annotate_version(place, move.version, tags={_tag(move): move.hash})


def unknown_marks(place: RegistryPlace, entries: tuple[Entry, ...]) -> list[str]:
    """Entries that versions were marked with and that the ledger no longer has, in words."""
    out = []
    for v in all_versions(place):
        for tag, value in sorted(v.tags.items()):
            if not tag.startswith(f"mrlm.{_MARK}"):
                continue
            sequence = int(tag.removeprefix(f"mrlm.{_MARK}"))
            if sequence >= len(entries) or entries[sequence].hash != value:
                out.append(
                    f"version {v.version} carries the mark of ledger entry {sequence}, which the "
                    "ledger does not have: its end was cut off or rewritten"
                )
    return out


_MARK = "ledger."


def _tag(entry: Entry) -> str:
    return f"{_MARK}{entry.sequence}"


def _done(place: RegistryPlace, move: Entry) -> bool:
    version = next((v for v in all_versions(place) if v.version == move.version), None)
    return version is not None and version.tags.get(f"mrlm.{_tag(move)}") == move.hash
