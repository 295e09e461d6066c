"""Take over a ledger that was written before its end was marked in the registry's database."""

from __future__ import annotations

from mrlm.promotion.record.decision import last_move
from mrlm.promotion.record.ledger import Entry, Ledger, LedgerError, LedgerUnmarkedError
from mrlm.promotion.registry.place import RegistryPlace
from mrlm.promotion.registry.versions import RegisteredVersion, all_versions

# Versions that such a ledger's entries moved the aliases to carry their hashes under this name.
_OLD_MARK = "mrlm.ledger."


def adopt_ledger(
    place: RegistryPlace, *, actor: str, at: str, seconds: float = 600.0
) -> Entry | None:
    """Mark the ledger's end, and write into the ledger who did it; killed anywhere, call it again.

    From then on every change of the ledger is found. What was changed before, and left the chain
    and the old marks of moves whole, is not: the entry says who answers for it.

    Args:
        place: the registry.
        actor: who calls.
        at: ISO time.
        seconds: longest wait for the lock.

    Returns:
        The entry, or None where the ledger is marked already or there is no registry yet.

    Raises:
        LedgerError: the chain is broken, or the registry and the ledger do not fit together.
        RegistryBusyError: somebody else holds the lock.
    """
    if not (place.exists or place.ledger.path.exists()):
        return None
    with place.locked(actor, seconds):
        try:
            place.ledger.confirmed()
        except LedgerUnmarkedError:
            return _adopt(place, actor, at)
    return None


def _adopt(place: RegistryPlace, actor: str, at: str) -> Entry:
    alone = Ledger(place.ledger.path)
    entries, versions = alone.entries(), {v.version: v for v in all_versions(place)}
    problems = [*_lost(entries, versions), *_strange_champion(entries, versions)]
    if problems:
        raise LedgerError(
            f"{place.ledger.path} cannot be taken over: {'; '.join(problems)}. Restore ledger and "
            "registry from one backup"
        )
    if not entries or entries[-1].kind != "adopted":
        reason = f"the ledger's {len(entries)} entries are marked in the registry's database"
        alone.append(Entry("adopted", "", None, actor, at, reason))
    entries = alone.entries()
    place.ledger.mark_whole(entries, _moved(entries, versions))
    return entries[-1]


def _lost(entries: tuple[Entry, ...], versions: dict[int, RegisteredVersion]) -> list[str]:
    out = []
    for v in versions.values():
        for tag, value in sorted(v.tags.items()):
            if tag.startswith(_OLD_MARK):
                sequence = int(tag.removeprefix(_OLD_MARK))
                if sequence >= len(entries) or entries[sequence].hash != value:
                    out.append(
                        f"version {v.version} carries the mark of ledger entry {sequence}, which "
                        "the ledger does not have: its end was cut off or rewritten"
                    )
    return out


def _strange_champion(
    entries: tuple[Entry, ...], versions: dict[int, RegisteredVersion]
) -> list[str]:
    move = last_move(entries)
    version = versions.get(move.version) if move and move.version is not None else None
    if move is None or (version is not None and version.run_key == move.run_key):
        return []
    return [f"the champion by the ledger, version {move.version}, is not in the registry"]


def _moved(entries: tuple[Entry, ...], versions: dict[int, RegisteredVersion]) -> int:
    """Sequence of the last move whose aliases are in place, by the old marks."""
    done = [
        e.sequence
        for e in entries
        for v in versions.values()
        if v.tags.get(f"{_OLD_MARK}{e.sequence}") == e.hash
    ]
    return max(done, default=-1)
