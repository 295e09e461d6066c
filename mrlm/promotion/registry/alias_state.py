"""Keep MLflow's aliases where the ledger says they belong."""

from __future__ import annotations

from mrlm.promotion.record.decision import last_move, objection_to_move
from mrlm.promotion.record.ledger import Entry, LedgerError, champion_stack
from mrlm.promotion.registry.place import RegistryPlace
from mrlm.promotion.registry.versions import (
    CHAMPION,
    PREVIOUS,
    aliases,
    all_versions,
    annotate_version,
    set_alias,
)


class AliasMovedError(RuntimeError):
    """An alias was moved outside the ledger."""


def expected_aliases(entries: tuple[Entry, ...], versions: frozenset[int]) -> dict[str, int | None]:
    """Version that each of champion and previous_champion belongs on.

    Args:
        entries: of the ledger.
        versions: that the registry has; a way back to one that is gone is none.
    """
    stack = champion_stack(entries)
    previous = stack[-2] if len(stack) > 1 else None
    return {
        PREVIOUS: previous if previous in versions else None,
        CHAMPION: stack[-1] if stack else None,
    }


def misplaced(place: RegistryPlace, entries: tuple[Entry, ...]) -> list[str]:
    """What is wrong with the aliases, and what to do; nothing when they are where they belong."""
    now = aliases(place)
    if _is_done(place, entries):
        cause = (
            "moved outside the ledger. Find out who did it, then put it back with "
            "'mrlm verify --restore'"
        )
    else:
        cause = "a killed call left it. Run the same command again, or 'mrlm verify --restore'"
    return [
        f"alias {alias} is on version {now.get(alias)}, the ledger says {version}: {cause}"
        for alias, version in expected_aliases(entries, _versions(place)).items()
        if now.get(alias) != version
    ]


def settle(place: RegistryPlace, entries: tuple[Entry, ...]) -> bool:
    """Finish the alias move of the last entry where a killed call left it half way.

    previous_champion moves first, so that champion always has a way back. The registry's mark of
    the ledger says last that the move is done. The caller holds the registry's lock and has the
    entries confirmed.

    Returns:
        Whether there was something to finish.

    Raises:
        AliasMovedError: the aliases are neither where this entry nor where the one before it
            would have them.
        LedgerError: the ledger holds no decision to make the move.
    """
    move = last_move(entries)
    if move is None or _is_done(place, entries):
        wrong = misplaced(place, entries)
        if wrong:
            raise AliasMovedError("; ".join(wrong))
        return False
    versions, now = _versions(place), aliases(place)
    before = expected_aliases(entries[: move.sequence], versions)
    after = expected_aliases(entries, versions)
    for alias in (PREVIOUS, CHAMPION):
        if now.get(alias) not in (before[alias], after[alias]):
            raise AliasMovedError(
                f"alias {alias} is on version {now.get(alias)}: neither {before[alias]}, where it "
                f"was, nor {after[alias]}, where the ledger's entry {move.sequence} moves it. Find "
                "out who did it, then put it back with 'mrlm verify --restore'"
            )
    restore_aliases(place, entries)
    return True


def restore_aliases(place: RegistryPlace, entries: tuple[Entry, ...]) -> None:
    """Put the aliases where the ledger says, whoever moved them.

    The caller holds the registry's lock and has the entries confirmed.

    Raises:
        LedgerError: the ledger holds no decision to make the last move.
    """
    move = last_move(entries)
    objection = "" if move is None else objection_to_move(entries, move)
    if move is not None and objection:
        raise LedgerError(
            f"{place.ledger.path}, line {move.sequence + 1}: {move.kind} version {move.version}, "
            f"but {objection}: restore ledger and registry from a backup"
        )
    for alias, version in expected_aliases(entries, _versions(place)).items():
        set_alias(place, alias, version)
    if move is not None:
        _annotate(place, entries, move)
        place.ledger.mark_moved(move.sequence)


def _annotate(place: RegistryPlace, entries: tuple[Entry, ...], move: Entry) -> None:
    """Say on their pages what became of the versions that a move concerns."""
    before = champion_stack(entries[: move.sequence])
    left = before[len(champion_stack(entries)) :] if move.kind == "rolled_back" else ()
    there = _versions(place)
    for version in sorted(set(left) & there):
        annotate_version(place, version, tags={"status": "rolled back"})
    if move.version is not None:
        annotate_version(place, move.version, tags={"status": "promoted"})


def _versions(place: RegistryPlace) -> frozenset[int]:
    return frozenset(v.version for v in all_versions(place))


def _is_done(place: RegistryPlace, entries: tuple[Entry, ...]) -> bool:
    """Whether the last move's aliases were put in place."""
    move, mark = last_move(entries), place.ledger.standing().mark
    return move is None or (mark is not None and mark.moved == move.sequence)
