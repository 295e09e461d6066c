"""Who decided what, on which evidence: a hash-chained, append-only file of JSON lines.

The chain alone tells nothing about the file's end, and anybody who can write the file can compute
it anew. So the registry's database holds a mark of the last entry, and before an entry is written
the hash that it will have: the file is believed as far as the mark goes, and every entry before the
marked one is covered by its hash.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from mrlm.evidence.canonical import canonical_json

Kind = Literal[
    "initial",
    "judged",
    "promoted",
    "refused",
    "rolled_back",
    "approved",
    "rejected",
    "adopted",
    "hashed",
    "kept",
    "accepted",
    "forgotten",
    "anchored",
    "fell_short",
]
GENESIS = "0" * 64
# Left out of the line where they hold nothing: entries of before they were there keep their hash.
_OPTIONAL = (
    *("request", "content", "anchor", "anchored", "spent"),
    *("test", "goes_on", "level", "rows", "precision"),
    *("trial", "gained"),
)


class LedgerError(ValueError):
    """The ledger is not what commands wrote: an entry was changed, removed or put in."""


class LedgerUnmarkedError(LedgerError):
    """The registry's database has no mark of the ledger's end yet."""


@dataclass(frozen=True)
class Mark:
    """Where the ledger ends, as the registry's database has it.

    Attributes:
        sequence: of the last entry; -1: there is none.
        hash: of the last entry.
        pending: hash of the entry that a command is about to append; "" when none is.
        moved: sequence of the last entry whose aliases are in place; -1: none.
    """

    sequence: int = -1
    hash: str = GENESIS
    pending: str = ""
    moved: int = -1


class Marks(Protocol):
    """Keeps the mark where whoever can write the ledger's file cannot."""

    def read(self) -> Mark | None:
        """The mark; None: there is nothing yet that a ledger could be about.

        Raises:
            LedgerUnmarkedError: there is, and it has no mark.
        """

    def write(self, mark: Mark) -> None:
        """Replace the mark, durably."""


@dataclass(frozen=True)
class Entry:
    """One line of the ledger.

    Attributes:
        kind: what happened.
        run_key: of the version concerned; ``accepted``: the night whose deliveries are accepted.
        version: registry version concerned; for ``rolled_back`` the one that is champion again.
        actor: person or policy that did it.
        at: ISO time, from the caller.
        reason: in words.
        verdict: ``judged`` only: ``promote`` or ``refuse``.
        evidence: fingerprint of the evidence that was decided on; "" where there was none.
        champion_version: champion that the evidence names, or that was replaced.
        gate_nights: nights that were used up.
        request: what the entry answers, such as a run of Airflow: it is answered once; "" none.
        content: ``hashed``: one hash over the version's files as they were reproduced; ``kept``:
            one hash over the outputs of earlier code that are kept, and their fingerprints;
            ``forgotten``: the salted hash of the pseudonym of whoever was; ``accepted``:
            fingerprint of what was found of the deliveries, "" in entries of before it was kept.
        anchor: ``judged``: version that the challenger's limits are anchored to; ``anchored``: the
            one that ``version`` replaces as anchor.
        anchored: ``judged``: ``within`` or ``below`` the anchored limits; "" where it was refused
            for something else and not held against them.
        test: ``judged``: run key of the run that made the challenger; "": the entry's own.
        goes_on: ``judged``: refused for now, and the next night looks at it again.
        level: ``judged``: one-sided level at which the north star was tested.
        rows: ``judged``: decisions that the evidence rests on; 0: not recorded.
        precision: ``judged``: one over the variance of the north star's difference, where a
            challenger under test may be on trial; 0: not recorded.
        spent: ``judged``: guardrail to the share of its margin that a promotion leaves spent.
        trial: ``judged``: guardrail to the share of its margin that the trial of this test has used
            up so far, promoted or not.
        gained: ``judged``: guardrails in which the challenger is proven better than the champion.
        sequence: place in the ledger, from 0.
        previous: hash of the entry before.
        hash: SHA-256 of all other fields.
    """

    kind: Kind
    run_key: str
    version: int | None
    actor: str
    at: str
    reason: str
    verdict: str = ""
    evidence: str = ""
    champion_version: int | None = None
    gate_nights: tuple[str, ...] = ()
    request: str = ""
    content: str = ""
    anchor: int | None = None
    anchored: str = ""
    spent: dict[str, float] = field(default_factory=dict)
    trial: dict[str, float] = field(default_factory=dict)
    gained: tuple[str, ...] = ()
    test: str = ""
    goes_on: bool = False
    level: float = 0.0
    rows: int = 0
    precision: float = 0.0
    sequence: int = 0
    previous: str = GENESIS
    hash: str = ""

    def holds_for(self, content: str) -> bool:
        """Whether the entry is about this content, or of before it was kept: then about any."""
        return self.content in {"", content}

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"ledger kind {self.kind!r} is none of {get_args(Kind)}")
        if not self.actor.strip():
            raise ValueError(f"ledger: a {self.kind} entry for {self.run_key} needs an actor")
        for name in ("run_key", "actor", "reason", "request"):
            try:
                getattr(self, name).encode()
            except UnicodeEncodeError as error:
                raise ValueError(
                    f"ledger: {name} {getattr(self, name)!a} holds bytes that are not UTF-8 text"
                ) from error

    def chained(self, last: Entry | None) -> Entry:
        """This entry with sequence, previous and hash set, to follow ``last``."""
        placed = replace(
            self,
            sequence=0 if last is None else last.sequence + 1,
            previous=GENESIS if last is None else last.hash,
            hash="",
        )
        return replace(placed, hash=placed.digest())

    def digest(self) -> str:
        """SHA-256 over every field but ``hash``."""
        data = self._plain()
        del data["hash"]
        return hashlib.sha256(canonical_json(data).encode()).hexdigest()

    def to_line(self) -> bytes:
        """Canonical JSON and a line feed."""
        return canonical_json(self._plain()).encode() + b"\n"

    def _plain(self) -> dict[str, Any]:
        return {n: v for n, v in asdict(self).items() if v or n not in _OPTIONAL}

    @classmethod
    def from_line(cls, line: bytes) -> Entry:
        """Read one line.

        Raises:
            ValueError: it is not an entry.
        """
        try:
            data: Any = json.loads(line)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        if not isinstance(data, dict):
            raise ValueError("a ledger line must be an object")
        try:
            return cls(**{**data, **{n: tuple(data.get(n, ())) for n in ("gate_nights", "gained")}})
        except (TypeError, AttributeError) as error:
            raise ValueError(f"a field is missing, unknown or of another type: {error}") from error


@dataclass(frozen=True)
class Standing:
    """What the file holds, as far as the mark confirms it.

    Attributes:
        entries: all that commands wrote, oldest first.
        mark: of the registry's database; None: it knows no model, or the file stands alone.
        torn: bytes at the end that a killed append left.
        unfinished: whether a killed call left the last entry, or the mark, without the other.
    """

    entries: tuple[Entry, ...]
    mark: Mark | None = None
    torn: bytes = b""
    unfinished: bool = False


class Ledger:
    """The file and its mark. Hold the registry's lock around everything but ``entries``.

    Args:
        path: of the file.
        marks: where its end is marked; None: nowhere, the file stands alone.
    """

    def __init__(self, path: Path, marks: Marks | None = None) -> None:
        self.path = path
        self.marks = marks

    def entries(self) -> tuple[Entry, ...]:
        """All whole entries, oldest first, by the file alone: nothing may be decided on them.

        Raises:
            LedgerError: the chain is broken.
        """
        return _parse(self._lines()[0], self.path)

    def standing(self) -> Standing:
        """What the file holds, compared with the mark; nothing is changed.

        Raises:
            LedgerError: the file is not what the registry's database says that commands wrote.
            LedgerUnmarkedError: the database has no mark of it yet.
        """
        lines, torn = self._lines()
        if self.marks is None:
            return Standing(_parse(lines, self.path), torn=torn)
        mark = self.marks.read()
        if mark is None:
            if lines or torn:
                raise LedgerError(
                    f"{self.path} has {len(lines)} entries, and the registry's database knows no "
                    "model that they could be about: the database is gone or another one; restore "
                    "it from a backup"
                )
            return Standing(())
        entries = self._marked(lines, mark)
        rest = lines[len(entries) :]
        if rest and not torn and _chained(rest, entries) == mark.pending:
            return Standing(_parse(lines, self.path), mark, unfinished=True)
        if rest or (torn and not mark.pending):
            raise LedgerError(
                f"{self.path}: what follows entry {mark.sequence} ({len(rest)} lines and "
                f"{len(torn)} bytes) was not written by a command: the registry's database says "
                f"that the ledger ends at {mark.hash}. Where the database was put back from a "
                "backup, put back the ledger of that backup; else 'mrlm verify --restore' sets "
                "aside what follows"
            )
        return Standing(entries, mark, torn, unfinished=bool(mark.pending))

    def confirmed(self) -> tuple[Entry, ...]:
        """All entries that the mark confirms; what a killed call left is finished first.

        An entry that was written whole gets its mark. One that was not never happened: its call
        told nobody, and the same call writes it again. A torn line goes to a file of its own.

        Raises:
            LedgerError, LedgerUnmarkedError: see ``standing``.
        """
        found = self.standing()
        if found.torn:
            self._set_aside(sum(len(e.to_line()) for e in found.entries))
        if found.unfinished and self.marks is not None and found.mark is not None:
            self.marks.write(_ending(found.entries, found.mark.moved))
        return found.entries

    def append(self, entry: Entry) -> Entry:
        """Write one entry durably and return it as written.

        Raises:
            LedgerError, LedgerUnmarkedError: see ``standing``; nothing is written.
        """
        entries = self.confirmed()
        placed = entry.chained(entries[-1] if entries else None)
        if self.marks is None:
            self._write(placed)
            return placed
        mark = self.marks.read()
        if mark is None:
            raise LedgerError(
                f"{self.path}: the registry's database knows no model yet, so nothing can be "
                "decided about one: register a version first"
            )
        self.marks.write(replace(mark, pending=placed.hash))
        self._write(placed)
        self.marks.write(_ending((*entries, placed), mark.moved))
        return placed

    def mark_moved(self, sequence: int) -> None:
        """Note that the aliases are where the entry with this sequence moves them."""
        mark = self.marks.read() if self.marks is not None else None
        if self.marks is not None and mark is not None and mark.moved != sequence:
            self.marks.write(replace(mark, moved=sequence))

    def mark_whole(self, entries: tuple[Entry, ...], moved: int) -> None:
        """Mark the last of these entries as the ledger's end, whatever was marked before."""
        if self.marks is not None:
            self.marks.write(_ending(entries, moved))

    def drop_unmarked(self) -> None:
        """Set aside what follows the marked end and no command wrote; only if a person says so.

        Raises:
            LedgerError: the file is not whole up to the marked end.
        """
        mark = self.marks.read() if self.marks is not None else None
        if mark is None:
            return
        lines, _ = self._lines()
        entries = self._marked(lines, mark)
        rest = lines[len(entries) :]
        kept = lines if _chained(rest, entries) == mark.pending else lines[: len(entries)]
        self._set_aside(sum(map(len, kept)))

    def problems(self) -> tuple[str, ...]:
        """What is wrong with the file, in words; nothing when it is sound."""
        try:
            found = self.standing()
        except LedgerError as error:
            return (str(error),)
        if found.torn:
            return (
                f"{self.path} ends in a line that a killed call tore ({len(found.torn)} bytes): "
                "run the same command again, or 'mrlm verify --restore', which sets it aside",
            )
        if found.unfinished and found.mark and len(found.entries) > found.mark.sequence + 1:
            return (
                f"{self.path}: a killed call left entry {found.entries[-1].sequence} without its "
                "mark: run the same command again, or 'mrlm verify --restore'",
            )
        return ()

    def _marked(self, lines: list[bytes], mark: Mark) -> tuple[Entry, ...]:
        """The entries up to the marked one."""
        size = mark.sequence + 1
        backup = f"restore the file from a backup whose last entry has the hash {mark.hash}"
        if len(lines) < size:
            raise LedgerError(
                f"{self.path} ends after {len(lines)} of {size} entries: its end was cut off, or "
                f"the file is gone; {backup}"
            )
        entries = _parse(lines[:size], self.path, backup)
        if entries and entries[-1].hash != mark.hash:
            raise LedgerError(
                f"{self.path}: entry {mark.sequence} has the hash {entries[-1].hash}, which is not "
                f"what the registry's database says: entries were rewritten; {backup}"
            )
        return entries

    def _lines(self) -> tuple[list[bytes], bytes]:
        """Lines that end in a line feed, and what follows the last of them."""
        if not self.path.exists():
            return [], b""
        *lines, torn = self.path.read_bytes().split(b"\n")
        return [line + b"\n" for line in lines], torn

    def _write(self, entry: Entry) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = not self.path.exists()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            line = entry.to_line()
            if os.write(descriptor, line) != len(line):
                raise OSError(f"{self.path}: the disk took only part of an entry; free some space")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if fresh:
            _sync_folder(self.path.parent)

    def _set_aside(self, size: int) -> None:
        """Move what follows the first ``size`` bytes to a file beside, named by its content."""
        rest = self.path.read_bytes()[size:] if self.path.exists() else b""
        if not rest:
            return
        name = f"{self.path.name}.torn-{size}-{hashlib.sha256(rest).hexdigest()[:8]}"
        with self.path.with_name(name).open("wb") as kept:
            kept.write(rest)
            kept.flush()
            os.fsync(kept.fileno())
        _sync_folder(self.path.parent)
        with self.path.open("r+b") as file:
            file.truncate(size)
            os.fsync(file.fileno())


def _ending(entries: tuple[Entry, ...], moved: int) -> Mark:
    return Mark(entries[-1].sequence, entries[-1].hash, "", moved) if entries else Mark(moved=moved)


def _chained(rest: list[bytes], entries: tuple[Entry, ...]) -> str | None:
    """Hash of the one line that follows the entries; None where it is no such line."""
    if len(rest) != 1:
        return None
    try:
        entry = Entry.from_line(rest[0])
        whole = entry == entry.chained(entries[-1] if entries else None)
    except ValueError:
        return None
    return entry.hash if whole and rest[0] == entry.to_line() else None


def _parse(
    lines: list[bytes], path: Path, remedy: str = "restore the file from a backup"
) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    for number, line in enumerate(lines, start=1):
        try:
            entry = Entry.from_line(line)
            expected = entry.chained(entries[-1] if entries else None)
        except ValueError as error:
            raise LedgerError(
                f"{path}, line {number}: not a ledger entry ({error}); {remedy}"
            ) from error
        if entry != expected or line != entry.to_line():
            raise LedgerError(
                f"{path}, line {number}: the chain is broken, this entry or the one before was "
                f"changed, removed or put in by hand; {remedy}"
            )
        entries.append(entry)
    return tuple(entries)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def judgement(entries: tuple[Entry, ...], run_key: str) -> Entry | None:
    """The gate's entry on this run key, or None; a run key is judged once."""
    return next((e for e in entries if e.kind == "judged" and e.run_key == run_key), None)


def judged_nights(entries: tuple[Entry, ...], except_run_key: str = "") -> frozenset[str]:
    """Gate nights that the judgements of other run keys have used up, ISO dates."""
    return frozenset(
        night
        for e in entries
        if e.kind == "judged" and e.run_key != except_run_key
        for night in e.gate_nights
    )


def champion_stack(entries: tuple[Entry, ...]) -> tuple[int, ...]:
    """Versions that are, and were before it, champion: the last is champion now.

    A promotion puts its version on top; a rollback takes off all above the one that it names.
    """
    stack: list[int] = []
    for e in entries:
        if e.version is None:
            continue
        if e.kind in ("initial", "promoted"):
            stack.append(e.version)
        elif e.kind == "rolled_back" and e.version in stack:
            del stack[len(stack) - stack[::-1].index(e.version) :]
    return tuple(stack)
