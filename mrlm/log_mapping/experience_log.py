"""gittins' experience log as the contract's tables, night by night.

Its lines are decisions and resolutions in the order of their arrival; a resolution names its
decision alone, neither item nor time. So they are joined here, where ingestion reads each row by
itself. Source: gittins 2, spec/ope.md, "The experience log".
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from zoneinfo import ZoneInfo

_EVENTS = {"rewarded": "reward", "expired": "expired", "censored": "censored"}
_POLICY = "gittins"
_OPEN = 64


@dataclass
class ConvertedLog:
    """What became of the lines of an experience log.

    Attributes:
        decisions: became impressions.
        resolutions: became feedback.
        unread: lines that are neither; they lie with the impressions, whose ingestion quarantines
            them.
        nights: ISO dates that were written.
    """

    decisions: int = 0
    resolutions: int = 0
    unread: int = 0
    nights: set[str] = field(default_factory=set)


def convert_experience_log(files: Iterable[Path], out: Path, zone: str = "UTC") -> ConvertedLog:
    """Write ``out/<table>/<night>/part-0.jsonl`` for impressions, feedback and items.

    A resolution has the item of its decision, and the time of the last decision before it in the
    log: the latest at which it is known not to have been there. One of an unknown decision has no
    item, and ingestion will quarantine it. An item's text is what its features say, as they first
    were on a night. Memory grows with the decisions that are open, not with the log.

    Args:
        files: of the log, in order; gzip by its first bytes.
        out: an empty or new folder.
        zone: IANA name; of the nights.

    Raises:
        FileExistsError: ``out`` holds something.
    """
    if out.exists() and any(out.iterdir()):
        raise FileExistsError(f"{out} is not empty")
    found = ConvertedLog()
    with ExitStack() as stack:
        writer = _Writer(out, stack)
        reader = _Reader(found, writer, ZoneInfo(zone))
        for file in files:
            for line in _lines(file):
                reader.take(line)
    found.nights = writer.nights
    return found


@dataclass
class _Writer:
    out: Path
    stack: ExitStack
    nights: set[str] = field(default_factory=set)
    files: dict[tuple[str, str], IO[str]] = field(default_factory=dict)

    def write(self, table: str, night: str, line: str) -> None:
        self.nights.add(night)
        key = (table, night)
        if key not in self.files:
            if len(self.files) >= _OPEN:
                self.files.pop(next(iter(self.files))).close()
            path = self.out / table / night / "part-0.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            self.files[key] = self.stack.enter_context(path.open("a", encoding="utf-8"))
        self.files[key].write(line + "\n")


@dataclass
class _Reader:
    found: ConvertedLog
    writer: _Writer
    zone: ZoneInfo
    shown: dict[str, str] = field(default_factory=dict)
    items: set[tuple[str, str]] = field(default_factory=set)
    last: float | None = None
    waiting: list[str] = field(default_factory=list)

    def take(self, line: str) -> None:
        """Write what one line tells."""
        if not line.strip():
            return
        try:
            row = json.loads(line)
            rows = self._rows(row)
        except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError):
            self.found.unread += 1
            self._unread(line)
            return
        for table, told in rows:
            self.writer.write(table, self._night(), json.dumps(told, ensure_ascii=False))

    def _unread(self, line: str) -> None:
        """With the rows around it: before the first decision no night is known yet."""
        if self.last is None:
            self.waiting.append(line)
        else:
            self.writer.write("impressions", self._night(), line)

    def _rows(self, row: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        if row["event"] == "decision":
            rows = list(self._decision(row))
            self.found.decisions += 1
            for line in self.waiting:
                self.writer.write("impressions", self._night(), line)
            self.waiting.clear()
            return rows
        if row["event"] != "resolution" or self.last is None:
            raise ValueError(row["event"])
        told = self._resolution(row)
        self.found.resolutions += 1
        return [("feedback", told)]

    def _decision(self, row: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        record, pairs = row["record"], row["candidates"]
        names = [str(name) for name, _ in pairs]
        chosen, time = record["chosen"], float(record["t"])
        if not 0 <= chosen < len(names):
            raise IndexError(chosen)
        id_ = str(record["decision_id"])
        stamp = _stamp(time)
        self.last = time
        self.shown[id_] = names[chosen]
        context = {k: _text(v) for k, v in row["context"].items() if v is not None}
        yield (
            "impressions",
            {
                "request_id": id_,
                "ts": stamp,
                "user_id": id_,
                "position": 1,
                "item_id": names[chosen],
                "propensity": record["propensity"],
                "candidates": names,
                "policy_id": _POLICY,
                "context": context,
            },
        )
        night = self._night()
        for name, (_, features) in zip(names, pairs, strict=True):
            if (night, name) not in self.items:
                self.items.add((night, name))
                told = ", ".join(f"{k} {_text(v)}" for k, v in sorted(features.items()))
                text = f"{name}: {told}" if told else name
                yield "items", {"item_id": name, "text": text, "updated_at": stamp}

    def _resolution(self, row: dict[str, Any]) -> dict[str, Any]:
        id_, kind = str(row["decision_id"]), row["kind"]
        event, reward = _EVENTS[kind], row.get("reward")
        assert self.last is not None  # noqa: S101 - asked for by its caller
        return {
            "event_id": f"{id_}#{kind}",
            "request_id": id_,
            "item_id": self.shown.pop(id_, None),
            "ts": _stamp(self.last),
            "event": event,
            "value": 1.0 if reward is None else reward,
        }

    def _night(self) -> str:
        assert self.last is not None  # noqa: S101 - a decision was read
        return datetime.fromtimestamp(self.last, self.zone).date().isoformat()


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _lines(file: Path) -> Iterator[str]:
    with file.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
        stream.seek(0)
        with gzip.GzipFile(fileobj=stream) if packed else nullcontext(stream) as lines:
            for line in lines:
                yield line.decode("utf-8", "replace").rstrip("\r\n")
