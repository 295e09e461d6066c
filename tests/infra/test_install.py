"""What set-up installs: read from the lock file, without a resolver and without a network."""

from __future__ import annotations

import subprocess
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from infra import check_wheels, install

LOCK = Path(install.__file__).parent / "requirements.lock"

SMALL = """\
cuda-thing==13.0 ; sys_platform == 'linux'
    # via torch
driver==2
    # via
    #   cuda-thing
    #   other
filelock==3
    # via
    #   mrlm (pyproject.toml)
    #   torch
only-cuda==1
    # via cuda-thing
Other_Thing==1 ; python_full_version < '3.12'
Other_Thing==2 ; python_full_version >= '3.12'
    # via mrlm (pyproject.toml)
torch==2
    # via mrlm (pyproject.toml)
"""


def test_each_package_has_its_lines_and_who_wants_it() -> None:
    packages = install.read_lock(SMALL)
    assert packages["filelock"].wanted_by == {"mrlm", "torch"}
    assert packages["driver"].wanted_by == {"cuda-thing", "other"}
    assert [line.partition(" ")[0] for line in packages["other-thing"].lines] == [
        "Other_Thing==1",
        "Other_Thing==2",
    ]
    with pytest.raises(ValueError, match=r"line 1 .* 'torch>=2'"):
        install.read_lock("torch>=2\n")


def test_what_only_a_build_of_torch_wants_is_left_out_where_it_does_not() -> None:
    packages = install.read_lock(SMALL)
    with_cuda = install.reachable(packages, {"cuda-thing", "filelock"})
    assert with_cuda == ["cuda-thing", "driver", "filelock", "only-cuda", "other-thing", "torch"]
    assert install.reachable(packages, {"filelock"}) == ["filelock", "other-thing", "torch"]


def test_the_lock_file_holds_what_the_project_asks_for_and_nothing_unreachable() -> None:
    packages = install.read_lock(LOCK.read_text())
    asked = [Requirement(r) for r in requires("mrlm") or ()]
    here = {
        install.canonical(r.name)
        for r in asked
        if any(r.marker is None or r.marker.evaluate({"extra": e}) for e in ("", "demo", "dev"))
    }
    assert here <= set(packages)
    by_torch = {name for name, package in packages.items() if "torch" in package.wanted_by}
    assert install.reachable(packages, by_torch) == sorted(packages)


def test_a_line_for_another_python_is_not_for_this_one() -> None:
    package = install.Locked(["a==1 ; python_full_version < '3'"])
    assert not install.for_this_python(package)
    package.lines.append("a==2 ; python_full_version >= '3'")
    assert install.for_this_python(package)


def test_where_a_pip_fails_it_resolves_everything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands: list[list[str]] = []

    def fail(self: install.Pip, *arguments: str) -> None:
        raise subprocess.CalledProcessError(1, ["python", "-m", "pip", *arguments])

    monkeypatch.setattr(install.Pip, "__call__", fail)
    monkeypatch.setattr(subprocess, "run", lambda command, check: commands.append(command))
    install.main()
    ((_, _, _, *arguments),) = commands
    root = LOCK.parents[1]
    assert arguments == ["install", "--constraint", str(LOCK), "--editable", f"{root}[demo,dev]"]
    assert "failed: pip now resolves every dependency" in capsys.readouterr().err


def test_a_machine_is_asked_for_the_lines_that_are_for_it() -> None:
    lock = (
        "a==1\nb==2 ; sys_platform == 'linux'\n    # via a\nc==3 ; python_full_version < '3.12'\n"
    )
    _, linux = check_wheels._PLATFORMS["linux-arm64"]
    _, mac = check_wheels._PLATFORMS["macos-arm64"]
    assert check_wheels.lines_for(lock, linux, "3.12") == {"a": "a==1", "b": "b==2"}
    assert check_wheels.lines_for(lock, mac, "3.11") == {"a": "a==1", "c": "c==3"}
