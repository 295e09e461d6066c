from __future__ import annotations

import json
from pathlib import Path

import pytest

from mrlm.promotion.record.ledger import (
    Entry,
    Kind,
    Ledger,
    LedgerError,
    champion_stack,
    judged_nights,
    judgement,
)


def _entry(kind: Kind = "judged", run_key: str = "n1/a", version: int = 1, **more: object) -> Entry:
    return Entry(kind, run_key, version, "gate", "2026-11-20T02:00:00Z", "because", **more)  # type: ignore[arg-type]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger(tmp_path / "ledger.jsonl")
    made.append(_entry("initial", "n0/a"))
    made.append(_entry("judged", gate_nights=("2026-11-18",), verdict="promote"))
    made.append(_entry("promoted", version=2))
    return made


def test_entries_come_back_chained(ledger: Ledger) -> None:
    entries = ledger.entries()
    assert [e.kind for e in entries] == ["initial", "judged", "promoted"]
    assert [e.sequence for e in entries] == [0, 1, 2]
    assert entries[2].previous == entries[1].hash
    assert ledger.problems() == ()


@pytest.mark.parametrize("line", [0, 1, 2])
def test_a_changed_entry_is_found(ledger: Ledger, line: int) -> None:
    lines = ledger.path.read_text().splitlines()
    data = json.loads(lines[line])
    data["reason"] = "nothing to see"
    lines[line] = json.dumps(data)
    ledger.path.write_text("\n".join(lines) + "\n")
    assert "the chain is broken" in ledger.problems()[0]
    with pytest.raises(LedgerError, match=f"line {line + 1}"):
        ledger.append(_entry())


@pytest.mark.parametrize("gone", [0, 1])
def test_a_removed_entry_is_found(ledger: Ledger, gone: int) -> None:
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    del lines[gone]
    ledger.path.write_bytes(b"".join(lines))
    with pytest.raises(LedgerError, match="the chain is broken"):
        ledger.entries()


def test_a_recomputed_hash_does_not_hide_a_change(ledger: Ledger) -> None:
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    data = json.loads(lines[1])
    forged = Entry.from_line(json.dumps({**data, "verdict": "refuse"}).encode())
    lines[1] = forged.chained(ledger.entries()[0]).to_line()
    ledger.path.write_bytes(b"".join(lines))
    with pytest.raises(LedgerError, match="line 3"):
        ledger.entries()


@pytest.mark.parametrize("kept", [1, 40, -1])
def test_a_torn_last_line_is_set_aside_by_the_next_append(ledger: Ledger, kept: int) -> None:
    whole = ledger.path.read_bytes()
    torn = _entry("judged", "n2/a", 3).chained(ledger.entries()[-1]).to_line()[:kept]
    ledger.path.write_bytes(whole + torn)
    assert len(ledger.entries()) == 3
    ledger.append(_entry("judged", "n2/a", 3))
    assert [e.run_key for e in ledger.entries()][-1] == "n2/a"
    assert len(ledger.entries()) == 4
    (aside,) = ledger.path.parent.glob(f"ledger.jsonl.torn-{len(whole)}-*")
    assert aside.read_bytes() == torn


def test_an_entry_needs_an_actor_and_a_kind() -> None:
    with pytest.raises(ValueError, match="needs an actor"):
        Entry("judged", "n/a", 1, " ", "2026", "because")
    with pytest.raises(ValueError, match="is none of"):
        _entry("wished")  # type: ignore[arg-type]


def test_the_stack_of_champions_follows_promotions_and_rollbacks() -> None:
    moves: list[tuple[Kind, int]] = [
        ("initial", 1),
        ("judged", 2),
        ("promoted", 2),
        ("promoted", 4),
        ("refused", 5),
        ("rolled_back", 2),
    ]
    entries = tuple(_entry(kind, version=v) for kind, v in moves)
    assert champion_stack(entries) == (1, 2)
    assert champion_stack(entries[:4]) == (1, 2, 4)
    assert champion_stack((*entries, _entry("rolled_back", version=1))) == (1,)


def test_judged_nights_leave_out_the_run_key_that_asks(ledger: Ledger) -> None:
    entries = ledger.entries()
    assert judged_nights(entries) == {"2026-11-18"}
    assert judged_nights(entries, "n1/a") == frozenset()
    found = judgement(entries, "n1/a")
    assert found is not None
    assert found.verdict == "promote"
    assert judgement(entries, "n9/z") is None


def test_entries_of_earlier_releases_keep_their_hashes(tmp_path: Path) -> None:
    """A line as the first release wrote it, byte for byte."""
    line = (
        '{"actor":"promotion rule","at":"2026-11-20T02:00:00+00:00","champion_version":1,'
        f'"evidence":"{"e" * 64}","gate_nights":["2026-11-19"],'
        '"hash":"050543bde2844c8865343a8516f82b44db48b4f4b5b0c1ecc6af534a8c1f6cb7",'
        f'"kind":"judged","previous":"{"0" * 64}","reason":"delight: +0.1 ä",'
        '"run_key":"2026-11-20/abc","sequence":0,"verdict":"promote","version":2}\n'
    ).encode()
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(line)
    (entry,) = Ledger(path).entries()
    assert entry.to_line() == line
    assert entry.digest() == entry.hash


def test_text_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(ValueError, match="bytes that are not UTF-8 text"):
        Entry("approved", "n/a", 1, "ada", "2026", "broken \udcff")
