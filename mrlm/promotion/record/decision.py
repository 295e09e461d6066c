"""Whether a move of the champion has its decision in the ledger; pure functions of its entries."""

from __future__ import annotations

from mrlm.promotion.record.ledger import Entry, champion_stack, judgement

MOVES = ("initial", "promoted", "rolled_back")


def last_move(entries: tuple[Entry, ...]) -> Entry | None:
    """The last entry that moved the aliases, or None."""
    return next((e for e in reversed(entries) if e.kind in MOVES), None)


def last_word(entries: tuple[Entry, ...], run_key: str) -> Entry | None:
    """The last approval or rejection of a run key by a person, or None."""
    words = [e for e in entries if e.kind in ("approved", "rejected") and e.run_key == run_key]
    return words[-1] if words else None


def departure(entries: tuple[Entry, ...], version: int) -> Entry | None:
    """The last move away from a version, or None: another took its place, or a rollback passed it.

    What was decided on the version before does not hold any more: it was decided on what was known
    then, and something that was learned since made somebody leave the version.
    """
    found: Entry | None = None
    before: tuple[int, ...] = ()
    for e in entries:
        if e.kind not in MOVES:
            continue
        after = champion_stack(entries[: e.sequence + 1])
        left = before[-1:] if before[-1:] != after[-1:] else ()
        if version in (*left, *before[len(after) :]):
            found = e
        before = after
    return found


def moved_after_all(entries: tuple[Entry, ...], run_key: str) -> tuple[Entry, ...]:
    """What became of a run's version: its last promotion, and the rollback that left it, if any.

    A version whose place another one took by a promotion of its own was not given up: that is no
    part of it.
    """
    promoted = [e for e in entries if e.kind == "promoted" and e.run_key == run_key]
    if not promoted or promoted[-1].version is None:
        return ()
    left = departure(entries, promoted[-1].version)
    if left is None or left.kind != "rolled_back" or left.sequence < promoted[-1].sequence:
        return (promoted[-1],)
    return (promoted[-1], left)


def objection_to_move(entries: tuple[Entry, ...], move: Entry) -> str:
    """Why the entries before a move do not allow it; "" where they do."""
    before = entries[: move.sequence]
    stack = champion_stack(before)
    if move.kind == "initial":
        return "there was a champion already" if stack else ""
    if move.champion_version != (stack[-1] if stack else None):
        return f"the champion was version {stack[-1] if stack else None}"
    if move.kind == "rolled_back":
        there = move.version in stack[:-1]
        return "" if there else f"version {move.version} was not a champion before"
    return _undecided(before, move)


def _undecided(before: tuple[Entry, ...], move: Entry) -> str:
    word, judged = last_word(before, move.run_key), judgement(before, move.run_key)
    if judged is None or judged.evidence != move.evidence:
        return "no judgement of its evidence is recorded"
    if word is not None and word.kind == "rejected":
        return f"{word.actor} had rejected it"
    left = departure(before, move.version) if move.version is not None else None
    valid = [e for e in (judged, word) if e is not None and _says_promote(e)]
    if left is not None:
        valid = [e for e in valid if e.sequence > left.sequence]
    return "" if valid else "no decision to promote it is recorded since it was last left"


def _says_promote(entry: Entry) -> bool:
    return entry.kind == "approved" or entry.verdict == "promote"
