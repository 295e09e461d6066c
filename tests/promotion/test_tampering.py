"""An enemy who writes whatever they like into the workspace, and not into the registry's database.

Whatever they do to the ledger, to a version's files, or by hand to the aliases is named by
``verify`` with what to do, and neither promote nor rollback moves anything. Rewriting the ledger
together with its mark in the database is out of scope, but for a hash that was kept elsewhere.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.promotion.crashes import MODEL, Registry, canonical, rechained

FOUR = "2026-11-22/abc"
PROMOTE = ("promote", FOUR, "--actor", "ada")
ROLLBACK = ("rollback", "--actor", "ada", "--reason", "complaints")
DECIDE = ("decide", FOUR, "--approve", "--actor", "ada", "--reason", "looks good")
# Every finding says what to do.
REMEDY = re.compile(r"restore|put it back|mrlm verify --restore|the same command again|backup")

Line = dict[str, Any]


def _lines(registry: Registry) -> list[bytes]:
    return registry.ledger.read_bytes().splitlines(keepends=True)


def _write(registry: Registry, lines: list[bytes]) -> None:
    registry.ledger.write_bytes(b"".join(lines))


def _at(number: int, change: Callable[[Line], Line]) -> Callable[[Registry], None]:
    """One line changed, and its own hash left as it was."""

    def edit(registry: Registry) -> None:
        lines = _lines(registry)
        lines[number] = canonical(change(json.loads(lines[number]))) + b"\n"
        _write(registry, lines)

    return edit


def _whole_chain(change: Callable[[list[Line]], list[Line]]) -> Callable[[Registry], None]:
    """Entries changed, and the whole chain computed anew."""
    return lambda registry: _replace(registry, rechained(change(registry.lines())))


def _replace(registry: Registry, data: bytes) -> None:
    registry.ledger.write_bytes(data)


def _raw(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Registry], None]:
    return lambda registry: _write(registry, change(_lines(registry)))


def _appended(kind: str, version: int, run_key: str) -> Callable[[Registry], None]:
    """A forged end whose chain is whole."""
    return _whole_chain(
        lambda entries: [
            *entries,
            {
                **entries[-1],
                "kind": kind,
                "version": version,
                "run_key": run_key,
                "actor": "eve",
                "champion_version": 3,
                "verdict": "",
            },
        ]
    )


def _alias(name: str, version: int | None) -> Callable[[Registry], None]:
    def move(registry: Registry) -> None:
        if version is None:
            registry.client().delete_registered_model_alias(MODEL, name)
        else:
            registry.client().set_registered_model_alias(MODEL, name, str(version))

    return move


def _verdict(verdict: str) -> Callable[[list[Line]], list[Line]]:
    return lambda entries: [
        {**e, "verdict": verdict} if e["kind"] == "judged" and e["run_key"] == FOUR else e
        for e in entries
    ]


LEDGER: dict[str, Callable[[Registry], None]] = {
    "a reason edited": _at(1, lambda e: {**e, "reason": "nothing to see"}),
    "a verdict edited": _at(-1, lambda e: {**e, "verdict": "refuse"}),
    "an actor edited, and its chain computed anew": _whole_chain(
        lambda entries: [{**entries[0], "actor": "eve"}, *entries[1:]]
    ),
    "another verdict, and its chain computed anew": _whole_chain(_verdict("refuse")),
    "the last entry edited with its hash": _whole_chain(
        lambda entries: [*entries[:-1], {**entries[-1], "reason": "nothing to see"}]
    ),
    "a field more, and its chain computed anew": _whole_chain(
        lambda entries: [*entries[:-1], {**entries[-1], "surprise": 1}]
    ),
    "the first line cut": _raw(lambda lines: lines[1:]),
    "a line in the middle cut": _raw(lambda lines: [*lines[:2], *lines[3:]]),
    "a judgement in the middle cut, and the chain computed anew": _whole_chain(
        lambda entries: [*entries[:-2], entries[-1]]
    ),
    "the last judgement cut": _raw(lambda lines: lines[:-1]),
    "the last two judgements cut": _raw(lambda lines: lines[:-2]),
    "every line cut": _raw(lambda lines: []),
    "the file removed": lambda registry: registry.ledger.unlink(),
    "the last line doubled": _raw(lambda lines: [*lines, lines[-1]]),
    "a line in the middle doubled": _raw(lambda lines: [*lines[:3], *lines[2:]]),
    "the last judgement doubled in the chain": _whole_chain(
        lambda entries: [*entries, entries[-1]]
    ),
    "two lines reordered": _raw(lambda lines: [*lines[:-2], lines[-1], lines[-2]]),
    "two judgements reordered in the chain": _whole_chain(
        lambda entries: [*entries[:-2], entries[-1], entries[-2]]
    ),
    "the last line torn": _raw(lambda lines: [*lines[:-1], lines[-1][:40]]),
    "the last line feed gone": _raw(lambda lines: [*lines[:-1], lines[-1][:-1]]),
    "a torn line more": _raw(lambda lines: [*lines, lines[-1][:40]]),
    "a line of garbage more": _raw(lambda lines: [*lines, b"\xff\x00 garbage\n"]),
    "a deep line more": _raw(lambda lines: [*lines, b"[" * 100_000 + b"\n"]),
    "an empty line more": _raw(lambda lines: [*lines, b"\n"]),
    "spaces in a line": _raw(lambda lines: [lines[0].replace(b":", b": "), *lines[1:]]),
    "other line ends": _raw(lambda lines: [x.replace(b"\n", b"\r\n") for x in lines]),
    "a line of another type": _raw(lambda lines: [b'{"actor": 5}\n', *lines[1:]]),
    "a forged approval": _appended("approved", 4, FOUR),
    "a forged promotion": _appended("promoted", 4, FOUR),
    "a forged rollback": _appended("rolled_back", 1, "2026-11-12/first"),
    "a forged take-over": _appended("adopted", 4, FOUR),
    "a forged first champion": _whole_chain(lambda e: [{**e[0], "version": 4, "run_key": FOUR}]),
}
ALIASES: dict[str, Callable[[Registry], None]] = {
    "champion moved by hand": _alias("champion", 4),
    "champion moved back by hand": _alias("champion", 2),
    "champion removed by hand": _alias("champion", None),
    "previous_champion moved by hand": _alias("previous_champion", 1),
}


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _code(path: Path) -> None:
    with path.open("a") as file:
        file.write("\nimport os\n")


FILES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "a byte of the policy flipped": ("artifacts/bundle/policy/policy.json", _flip),
    "a byte of the stored rows flipped": ("artifacts/reproduction.parquet", _flip),
    "an artifact deleted": ("artifacts/bundle/catalog.parquet", Path.unlink),
    "code appended": ("code/mrlm/promotion/serving/bundle.py", _code),
    "the model's folder deleted": ("", shutil.rmtree),
}


def assert_noticed_and_refused(registry: Registry, aliases: dict[str, int]) -> str:
    """What verify printed; it and the commands that decide end with 10 and one sentence each."""
    code, printed = registry.run("verify")
    assert code == 10
    findings = [x for x in printed.splitlines() if " ERROR " not in x]
    assert findings
    for finding in findings:
        assert REMEDY.search(finding), finding
    for command in (PROMOTE, ROLLBACK):
        code, said = registry.run(*command)
        assert code == 10, said
        assert "Traceback" not in said
    if (registry.folder / "mlflow.db").exists():
        assert registry.aliases() == aliases
    return printed


def _bytes(registry: Registry) -> bytes | None:
    return registry.ledger.read_bytes() if registry.ledger.exists() else None


def _tampered(registry: Registry, change: Callable[[Registry], None]) -> None:
    change(registry)
    aliases, before = registry.aliases(), _bytes(registry)
    assert_noticed_and_refused(registry, aliases)
    assert _bytes(registry) == before


SAMPLE = (
    "another verdict, and its chain computed anew",
    "the last judgement cut",
    "the last line torn",
    "a deep line more",
    "a forged promotion",
)


def test_a_whole_registry_is_found_whole(champions: Registry, tmp_path: Path) -> None:
    registry = champions.copy(tmp_path)
    code, printed = registry.run("verify")
    assert code == 0
    told = json.loads(printed.splitlines()[-1])
    assert told == {
        "champion": 3,
        "entries": len(registry.lines()),
        "head": registry.lines()[-1]["hash"],
    }


@pytest.mark.parametrize("how", SAMPLE)
def test_a_changed_ledger_is_noticed_and_decides_nothing(
    champions: Registry, tmp_path: Path, how: str
) -> None:
    registry = champions.copy(tmp_path)
    _tampered(registry, LEDGER[how])
    assert registry.run(*DECIDE)[0] == 10


@pytest.mark.long
@pytest.mark.parametrize("how", [*LEDGER, *ALIASES])
def test_every_tampering_is_noticed_and_moves_nothing(
    champions: Registry, tmp_path: Path, how: str
) -> None:
    registry = champions.copy(tmp_path)
    _tampered(registry, {**LEDGER, **ALIASES}[how])
    if how in LEDGER:
        assert registry.run(*DECIDE)[0] == 10
        # Only what follows the marked end can be told from what commands wrote, and set aside.
        code, _ = registry.run("verify", "--restore")
        assert code == (0 if _bytes(registry) == _bytes(champions) else 10)
    else:
        assert registry.run("verify", "--restore")[0] == 0
        assert registry.aliases() == {"champion": 3, "previous_champion": 2}


@contextmanager
def _kept(folders: list[Path]) -> Iterator[None]:
    """Folders that all registries share, put back afterwards."""
    for folder in folders:
        shutil.copytree(folder, folder.with_name("kept"))
    try:
        yield
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
            folder.with_name("kept").rename(folder)


@pytest.mark.long
@pytest.mark.parametrize("how", FILES)
def test_damaged_versions_are_noticed_and_neither_promoted_nor_gone_back_to(
    champions: Registry, tmp_path: Path, how: str
) -> None:
    registry = champions.copy(tmp_path)
    name, change = FILES[how]
    folders = [registry.model_folder(v) for v in (2, 4)]
    with _kept(folders):
        for folder in folders:
            change(folder / name)
        printed = assert_noticed_and_refused(registry, registry.aliases())
        assert all(f"version {v}: " in printed for v in (2, 4))
    assert registry.aliases() == {"champion": 3, "previous_champion": 2}
    assert registry.run("verify")[0] == 0


@pytest.mark.parametrize("how", ["gone", "empty", "another"])
def test_a_database_that_is_gone_is_noticed_and_not_made_anew(
    champions: Registry, migrated_store: Path, templates: dict[str, Path], tmp_path: Path, how: str
) -> None:
    registry = champions.copy(tmp_path)
    database = registry.folder / "mlflow.db"
    database.unlink()
    if how == "empty":
        shutil.copyfile(migrated_store, database)
    if how == "another":
        shutil.copyfile(templates["first"] / "mlflow.db", database)
    before = registry.ledger.read_bytes()
    for command in (("verify",), PROMOTE, ROLLBACK, DECIDE, ("upgrade", "--actor", "ada")):
        code, said = registry.run(*command)
        assert code == 10, said
        assert "Traceback" not in said
        if how != "another":
            assert "the database is gone" in said
    assert registry.ledger.read_bytes() == before


def test_a_forged_end_is_set_aside_and_the_rest_is_believed(
    champions: Registry, tmp_path: Path
) -> None:
    registry = champions.copy(tmp_path)
    whole = registry.ledger.read_bytes()
    LEDGER["a forged rollback"](registry)
    forged = registry.ledger.read_bytes().removeprefix(whole)
    assert registry.run("verify", "--restore")[0] == 0
    assert registry.ledger.read_bytes() == whole
    (aside,) = registry.folder.glob("ledger.jsonl.torn-*")
    assert aside.read_bytes() == forged
    assert registry.run(*DECIDE)[0] == 0


def test_a_ledger_that_was_cut_is_not_restored_from(champions: Registry, tmp_path: Path) -> None:
    """Aliases put where a cut ledger says would undo the rollback that was cut off."""
    registry = champions.copy(tmp_path)
    whole = registry.ledger.read_bytes()
    LEDGER["the last two judgements cut"](registry)
    code, said = registry.run("verify", "--restore")
    assert code == 10
    last = json.loads(whole.splitlines()[-1])["hash"]
    assert f"a backup whose last entry has the hash {last}" in said
    registry.ledger.write_bytes(whole)
    assert registry.run("verify")[0] == 0


def test_a_head_that_was_kept_elsewhere_finds_what_was_rewritten_with_its_mark(
    champions: Registry, tmp_path: Path
) -> None:
    registry = champions.copy(tmp_path)
    head = json.loads(registry.run("verify")[1].splitlines()[-1])["head"]
    assert registry.run(*DECIDE)[0] == 0
    assert registry.run("verify", "--head", head)[0] == 0
    assert registry.run("verify", "--head", head[:20])[0] == 2
    LEDGER["another verdict, and its chain computed anew"](registry)
    _marked(registry, json.loads(registry.tags()["mrlm.ledger"])["moved"])
    assert registry.run("verify")[0] == 0
    code, said = registry.run("verify", "--head", head)
    assert code == 10
    assert head in said


def _marked(registry: Registry, moved: int) -> None:
    """The mark rewritten to fit the ledger: what an enemy of the database itself would do."""
    last = registry.lines()[-1]
    mark = {"sequence": last["sequence"], "hash": last["hash"], "pending": "", "moved": moved}
    registry.client().set_registered_model_tag(MODEL, "mrlm.ledger", json.dumps(mark))


def test_a_move_without_a_decision_is_not_finished(champions: Registry, tmp_path: Path) -> None:
    """Version 2 was left for 3, and nobody has decided on it since."""
    registry = champions.copy(tmp_path)
    moves = [e for e in registry.lines() if e["kind"] == "promoted"]
    forged = {**moves[0], "champion_version": 3, "actor": "eve"}
    registry.ledger.write_bytes(rechained([*registry.lines(), forged]))
    _marked(registry, moved=moves[-1]["sequence"])
    printed = assert_noticed_and_refused(registry, registry.aliases())
    assert "no decision to promote it is recorded since it was last left" in printed
    assert registry.run("verify", "--restore")[0] == 10
    assert registry.aliases() == {"champion": 3, "previous_champion": 2}


def test_the_verdict_is_computed_again_and_compared(champions: Registry, tmp_path: Path) -> None:
    """On the same evidence, by a rule that asks for what the evidence does not hold."""
    registry = champions.copy(tmp_path)
    settings = registry.root / "mrlm.toml"
    settings.write_text(settings.read_text().replace("[gate]", '[gate]\nestimator = "ips"'))
    code, printed = registry.run(*PROMOTE)
    assert code == 10
    assert "says that the gate would promote it, and on the same evidence" in printed
    assert registry.aliases()["champion"] == 3
    assert registry.run("verify")[0] == 0


# Ledgers of releases that marked only moves.


def _older(registry: Registry) -> Registry:
    """The registry as an earlier release left it: moves marked on versions, no mark of the end."""
    client = registry.client()
    for e in registry.lines():
        if e["kind"] in ("initial", "promoted", "rolled_back"):
            name = f"mrlm.ledger.{e['sequence']}"
            client.set_model_version_tag(MODEL, str(e["version"]), name, e["hash"])
    client.delete_registered_model_tag(MODEL, "mrlm.ledger")
    return registry


def test_an_older_ledger_is_taken_over_once_by_a_named_person(
    champions: Registry, tmp_path: Path
) -> None:
    registry = _older(champions.copy(tmp_path))
    before = registry.ledger.read_bytes()
    for command in (("verify",), PROMOTE, ROLLBACK, DECIDE):
        code, said = registry.run(*command)
        assert code == 10
        assert "run 'mrlm upgrade --actor" in said
    for _ in range(2):
        assert registry.run("upgrade", "--actor", "ada")[0] == 0
    assert registry.ledger.read_bytes().startswith(before)
    assert [(e["kind"], e["actor"]) for e in registry.lines()[7:]] == [("adopted", "ada")]
    assert registry.run("verify")[0] == 0
    assert registry.run(*DECIDE)[0] == 0


@pytest.mark.parametrize(
    "how",
    ["a reason edited", "every line cut", "an actor edited, and its chain computed anew"],
)
def test_an_older_ledger_that_lost_a_move_is_not_taken_over(
    champions: Registry, tmp_path: Path, how: str
) -> None:
    registry = _older(champions.copy(tmp_path))
    LEDGER[how](registry)
    code, said = registry.run("upgrade", "--actor", "eve")
    assert code == 10
    assert "backup" in said
    assert "mrlm.ledger" not in registry.tags()
