from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from mrlm.behaviour.fitting.free_memory import free_bytes


def group(folder: Path, limit: str, used: str, told: str) -> Path:
    for name, text in ((limit, "4000"), (used, "3000"), (told, "anon 2000\ninactive_file 600")):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n")
    return folder


@pytest.mark.parametrize(
    ("names", "free"),
    [
        (("memory.max", "memory.current", "memory.stat"), 1600),
        (
            (
                "memory/memory.limit_in_bytes",
                "memory/memory.usage_in_bytes",
                "memory/memory.stat",
            ),
            # The first version calls the files of all groups below otherwise.
            1000,
        ),
    ],
)
def test_a_container_has_what_its_group_has_left(
    tmp_path: Path, names: tuple[str, str, str], free: int
) -> None:
    assert free_bytes(group(tmp_path, *names)) == free
    (tmp_path / names[1]).write_text("9000\n")
    assert free_bytes(tmp_path) == 0


def test_without_a_limit_the_machine_has_what_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = type("Memory", (), {"available": 5000})
    monkeypatch.setattr(psutil, "virtual_memory", machine)
    assert free_bytes(tmp_path) == 5000
    group(tmp_path, "memory.max", "memory.current", "memory.stat")
    assert free_bytes(tmp_path) == 1600
    (tmp_path / "memory.max").write_text("max\n")
    assert free_bytes(tmp_path) == 5000
