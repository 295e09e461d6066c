"""Commands that are killed, repeated and raced: the champion moves once, and all records agree."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.promotion.crashes import Death, Form, Registry

FOUR, FIVE = "2026-11-22/abc", "2026-11-23/abc"
PROMOTE = ("promote", FOUR, "--actor", "ada")
ROLLBACK = ("rollback", "--actor", "ada", "--reason", "complaints")
DECIDE = ("decide", FOUR, "--approve", "--actor", "ada", "--reason", "looks good")
# What each adds to the ledger when it is done once: kind and version.
ADDED = {PROMOTE: ("promoted", 4), ROLLBACK: ("rolled_back", 2), DECIDE: ("approved", 4)}


def replayed(lines: list[dict[str, Any]]) -> list[int]:
    """Champions by the ledger, the last one serves now; each move must start from it."""
    stack: list[int] = []
    for e in lines:
        if e["kind"] == "initial":
            assert stack == []
            stack.append(e["version"])
        elif e["kind"] == "promoted":
            assert e["champion_version"] == stack[-1], "one winner at a time"
            stack.append(e["version"])
        elif e["kind"] == "rolled_back":
            assert e["champion_version"] == stack[-1], "one winner at a time"
            assert e["version"] in stack[:-1]
            while stack[-1] != e["version"]:
                stack.pop()
    return stack


def assert_decided(lines: list[dict[str, Any]]) -> None:
    """Each promotion has a decision that is later than the last move away from its version."""
    left: dict[int, int] = {}
    stack: list[int] = []
    for number, e in enumerate(lines):
        if e["kind"] == "promoted":
            said = [
                n
                for n, d in enumerate(lines[:number])
                if d["run_key"] == e["run_key"]
                and (d["kind"] == "approved" or d.get("verdict") == "promote")
            ]
            assert said, f"entry {number}: no decision"
            assert max(said) > left.get(e["version"], -1), f"entry {number}: an old decision"
        before, stack = stack, replayed(lines[: number + 1])
        for version in before:
            if version != (stack or [0])[-1] and (version == before[-1] or version not in stack):
                left[version] = number


def assert_agree(registry: Registry) -> None:
    """Ledger, aliases, marks and pages say the same, and verify says so too."""
    lines = registry.lines()
    stack = replayed(lines)
    assert_decided(lines)
    expected = {"champion": stack[-1]}
    if len(stack) > 1:
        expected["previous_champion"] = stack[-2]
    assert registry.aliases() == expected
    mark = json.loads(registry.tags()["mrlm.ledger"])
    moves = [e for e in lines if e["kind"] in ("initial", "promoted", "rolled_back")]
    assert mark == {
        "sequence": len(lines) - 1,
        "hash": lines[-1]["hash"],
        "pending": "",
        "moved": moves[-1]["sequence"],
    }
    code, printed = registry.run("verify")
    assert code == 0, printed


def assert_done_once(
    registry: Registry, command: tuple[str, ...], before: list[dict[str, Any]]
) -> None:
    """The command's one entry is new, and nothing else."""
    added = [(e["kind"], e["version"]) for e in registry.lines()[len(before) :]]
    assert added == [ADDED[command]]
    assert registry.lines()[: len(before)] == before
    assert_agree(registry)


def _killed_then_repeated(registry: Registry, command: tuple[str, ...], death: Death) -> None:
    before = registry.lines()
    registry.killed(*command, death=death)
    code, printed = registry.run(*command)
    assert code == 0, printed
    assert_done_once(registry, command, before)


# A small sample; all points are below.
SAMPLE: list[tuple[tuple[str, ...], Death]] = [
    (DECIDE, Death("commit", 1, "after")),
    (DECIDE, Death("write ledger.jsonl", 1, "half")),
    (DECIDE, Death("fsync ledger.jsonl", 1, "after")),
    (DECIDE, Death("commit", 2, "after")),
    (PROMOTE, Death("commit", 3, "after")),
    (ROLLBACK, Death("commit", 4, "after")),
]


@pytest.mark.parametrize(("command", "death"), SAMPLE, ids=str)
def test_a_command_killed_at_a_write_and_repeated_is_done_once(
    champions: Registry, tmp_path: Path, command: tuple[str, ...], death: Death
) -> None:
    _killed_then_repeated(champions.copy(tmp_path), command, death)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("command", ADDED, ids=lambda c: c[0])
def test_a_command_killed_at_every_write_and_repeated_is_done_once(
    champions: Registry, tmp_path: Path, command: tuple[str, ...]
) -> None:
    labels = champions.copy(tmp_path / "whole").writes(*command)
    assert len([x for x in labels if x == "commit"]) >= 2
    done = 0
    for n, label in enumerate(labels, start=1):
        forms: tuple[Form, ...] = ("before", "after")
        for form in (*forms, "half") if label.startswith("write ") else forms:
            registry = champions.copy(tmp_path / f"{n}-{form}")
            _killed_then_repeated(registry, command, Death("", n, form))
            done += 1
    print(f"{command[0]}: {len(labels)} writes, killed at {done} points: {labels}")


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_a_command_killed_at_a_random_moment_and_repeated_is_done_once(
    champions: Registry, tmp_path: Path
) -> None:
    """30 moments, drawn between the start and the end of each command."""
    draw = random.Random(20261128)
    found: dict[str, int] = {}
    for n in range(30):
        command = list(ADDED)[n % 3]
        if n < 3:
            start = time.monotonic()
            champions.copy(tmp_path / f"whole-{n}").start(*command).join()
            found[command[0]] = int(1000 * (time.monotonic() - start))
        registry = champions.copy(tmp_path / str(n))
        before = registry.lines()
        process = registry.start(*command)
        process.join(draw.uniform(0, found[command[0]] / 1000))
        if process.exitcode is None and process.pid is not None:
            os.kill(process.pid, signal.SIGKILL)
        process.join()
        code, printed = registry.run(*command)
        assert code == 0, printed
        assert_done_once(registry, command, before)


# Races.


def _raced(registry: Registry, commands: list[tuple[str, ...]]) -> None:
    before = len(registry.moves())
    processes = [registry.start(*c) for c in commands]
    for process in processes:
        process.join(600)
    assert {p.exitcode for p in processes} <= {0, 10}
    assert_agree(registry)
    assert len(registry.moves()) > before


def _twelve(draw: random.Random) -> list[tuple[str, ...]]:
    people = ["ada", "bob", "cyd", "dan"]
    commands: list[tuple[str, ...]] = []
    for n, who in enumerate(people):
        key = (FOUR, FIVE, "2026-11-21/abc", FOUR)[n]
        commands.append(("promote", key, "--actor", who))
        word = "--reject" if n == 3 else "--approve"
        commands.append(("decide", key, word, "--actor", who, "--reason", f"word {n}"))
        commands.append(("rollback", "--actor", who, "--reason", f"complaint {n}"))
    draw.shuffle(commands)
    return commands


def test_raced_commands_have_one_winner_at_a_time(champions: Registry, tmp_path: Path) -> None:
    commands = [
        ("promote", FOUR, "--actor", "ada"),
        ("decide", FIVE, "--approve", "--actor", "bob", "--reason", "looks good"),
        ("rollback", "--actor", "cyd", "--reason", "complaints"),
        ("decide", FOUR, "--reject", "--actor", "dan", "--reason", "holiday"),
    ]
    _raced(champions.copy(tmp_path), commands)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_twelve_raced_commands_have_one_winner_at_a_time(
    champions: Registry, tmp_path: Path
) -> None:
    """Three rounds, the third with commands of the first two in between on the same registry."""
    draw = random.Random(7)
    for n in range(3):
        registry = champions.copy(tmp_path / str(n))
        _raced(registry, _twelve(draw))
        print(f"round {n}: {[(e['kind'], e['version'], e['actor']) for e in registry.lines()[7:]]}")


# Which commands are the same.


def test_a_repeated_rollback_moves_nothing_and_a_deliberate_one_does(
    champions: Registry, tmp_path: Path
) -> None:
    """By hand the same words are the same command; Airflow retries under the name of its run."""
    registry = champions.copy(tmp_path)
    assert registry.run(*ROLLBACK)[0] == 0
    code, printed = registry.run(*ROLLBACK)
    assert code == 0
    assert "done before" in printed
    assert "--from 2" in printed
    assert registry.aliases()["champion"] == 2
    for leaving in ("3", "7"):
        assert registry.run(*ROLLBACK, "--from", leaving)[0] == (0 if leaving == "3" else 10)
        assert registry.aliases()["champion"] == 2
    for further in (("--request", "run 2"), ("--request", "run 2"), ("--from", "2"), ()):
        assert registry.run(*ROLLBACK, *further)[0] == 0
        assert registry.aliases() == {"champion": 1}
    assert registry.moves()[-2:] == [("rolled_back", 2), ("rolled_back", 1)]
    assert_agree(registry)


def test_a_version_that_was_rolled_back_needs_a_new_decision(
    champions: Registry, tmp_path: Path
) -> None:
    """Also where it was approved while it was champion."""
    registry = champions.copy(tmp_path)
    three = "2026-11-21/abc"
    approve = ("decide", three, "--approve", "--actor", "ada", "--reason", "looks good")
    assert registry.run(*approve)[0] == 0
    assert registry.run(*ROLLBACK)[0] == 0
    code, printed = registry.run("promote", three, "--actor", "ada")
    assert code == 10
    assert "it was rolled back by ada: complaints" in printed
    assert registry.aliases()["champion"] == 2
    assert registry.run(*approve)[0] == 0
    assert [e["kind"] for e in registry.lines()[-3:]] == ["rolled_back", "refused", "approved"]
    assert_agree(registry)
