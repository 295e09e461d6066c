"""Who decided what, on which evidence: a hash-chained, append-only file of JSON lines."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from mrlm.promotion.canonical import canonical_json

Kind = Literal[
    "initial", "judged", "promoted", "refused", "rolled_back", "approved", "rejected", "hashed"
]
GENESIS = "0" * 64
# Left out of the line where they hold nothing: entries of before they were there keep their hash.
_OPTIONAL = ("content",)


class LedgerError(ValueError):
    """The ledger's chain is broken: an entry was changed, removed or put in."""


@dataclass(frozen=True)
class Entry:
    """One line of the ledger.

    Attributes:
        kind: what happened.
        run_key: of the version concerned.
        version: registry version concerned; for ``rolled_back`` the one that is champion again.
        actor: person or policy that did it.
        at: ISO time, from the caller.
        reason: in words.
        verdict: ``judged`` only: ``promote`` or ``refuse``.
        evidence: fingerprint of the evidence that was decided on; "" where there was none.
        champion_version: champion that the evidence names, or that was replaced.
        gate_nights: nights that were used up.
        content: ``hashed`` only: one hash over the version's files as they were reproduced.
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
    content: str = ""
    sequence: int = 0
    previous: str = GENESIS
    hash: str = ""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"ledger kind {self.kind!r} is none of {get_args(Kind)}")
        if not self.actor.strip():
            raise ValueError(f"ledger: a {self.kind} entry for {self.run_key} needs an actor")

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
        data: Any = json.loads(line)
        if not isinstance(data, dict):
            raise ValueError("a ledger line must be an object")
        try:
            return cls(**{**data, "gate_nights": tuple(data.get("gate_nights", ()))})
        except TypeError as error:
            raise ValueError(str(error)) from error


class Ledger:
    """The file. One writer at a time: hold the registry's lock around ``append``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> tuple[Entry, ...]:
        """All whole entries, oldest first; a last line torn by a crash is left out.

        Raises:
            LedgerError: the chain is broken.
        """
        return _parse(self._lines()[0], self.path)

    def append(self, entry: Entry) -> Entry:
        """Write one entry durably and return it as written.

        A last line that a crash tore is first moved to a file beside the ledger.

        Raises:
            LedgerError: the chain is broken; nothing is written.
        """
        whole, torn = self._lines()
        entries = _parse(whole, self.path)
        placed = entry.chained(entries[-1] if entries else None)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if torn:
            self._set_aside(sum(len(line) for line in whole), torn)
        fresh = not self.path.exists()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            line = placed.to_line()
            if os.write(descriptor, line) != len(line):
                raise OSError(f"{self.path}: the disk took only part of an entry; free some space")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if fresh:
            _sync_folder(self.path.parent)
        return placed

    def problems(self) -> tuple[str, ...]:
        """What is wrong with the file, in words; nothing when it is sound."""
        try:
            self.entries()
        except LedgerError as error:
            return (str(error),)
        return ()

    def _lines(self) -> tuple[list[bytes], bytes]:
        """Lines that end in a line feed, and what follows the last of them."""
        if not self.path.exists():
            return [], b""
        lines = self.path.read_bytes().splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):
            return lines[:-1], lines[-1]
        return lines, b""

    def _set_aside(self, size: int, torn: bytes) -> None:
        kept = self.path.with_name(f"{self.path.name}.torn-{size}")
        kept.write_bytes(torn)
        with self.path.open("r+b") as file:
            file.truncate(size)
            file.flush()
            os.fsync(file.fileno())


def _parse(lines: list[bytes], path: Path) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    for number, line in enumerate(lines, start=1):
        try:
            entry = Entry.from_line(line)
        except ValueError as error:
            raise LedgerError(f"{path}, line {number}: not a ledger entry ({error})") from error
        expected = entry.chained(entries[-1] if entries else None)
        if entry != expected:
            raise LedgerError(
                f"{path}, line {number}: the chain is broken, this entry or the one before was "
                "changed, removed or put in by hand; restore the file from a backup"
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
