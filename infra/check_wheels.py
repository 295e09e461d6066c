"""Show that every line of the lock file has a wheel on machines and Pythons other than these.

Run it with an environment that ``make setup`` made: ``python infra/check_wheels.py``, with names of
platforms and Pythons to check only those. It asks the indexes that this machine's pip is told of,
and fetches no wheel. Exceptions, which have to be built from source there, are printed; more than
the known ones end it with code 1.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from itertools import product
from pathlib import Path

from packaging.requirements import Requirement

_LOCK = Path(__file__).resolve().parent / "requirements.lock"
_PYTHONS = ("3.11", "3.12", "3.13")
# Published as source alone, and pure Python with Java inside: it is built anywhere.
_KNOWN = {"pyspark"}


def _linux(machine: str) -> tuple[list[str], dict[str, str]]:
    tags = [f"manylinux_2_{n}_{machine}" for n in range(17, 35)] + [f"manylinux2014_{machine}"]
    return tags, {
        "sys_platform": "linux",
        "platform_machine": machine,
        "platform_system": "Linux",
    }


# Tags of wheels, and what markers are told.
_PLATFORMS: dict[str, tuple[list[str], dict[str, str]]] = {
    "linux-x86_64": _linux("x86_64"),
    "linux-arm64": _linux("aarch64"),
    "macos-arm64": (
        ["macosx_14_0_arm64"],
        {"sys_platform": "darwin", "platform_machine": "arm64", "platform_system": "Darwin"},
    ),
}


def lines_for(lock: str, machine: Mapping[str, str], python: str) -> dict[str, str]:
    """Pinned requirements of a machine, without markers, by name as the lock file spells it."""
    versions = {"python_version": python, "python_full_version": f"{python}.9"}
    environment = {**versions, "os_name": "posix", "implementation_name": "cpython", **machine}
    found = {}
    for line in lock.splitlines():
        if re.match(r"[A-Za-z0-9]", line):
            asked = Requirement(line)
            if asked.marker is None or asked.marker.evaluate(environment):
                found[asked.name] = f"{asked.name}{asked.specifier}"
    return found


def without_wheel(lines: Mapping[str, str], tags: list[str], python: str) -> list[str]:
    """Requirements that have no wheel for this Python and any of these platform tags.

    Raises:
        RuntimeError: pip failed and named none of the lines.
    """
    left, missing = dict(lines), []
    while True:
        with tempfile.TemporaryDirectory() as folder:
            chosen = Path(folder) / "requirements.txt"
            chosen.write_text("\n".join(left.values()) + "\n")
            platforms = [option for tag in tags for option in ("--platform", tag)]
            command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"]
            command += ["--no-deps", "--only-binary", ":all:", "--target", folder, *platforms]
            command += ["--python-version", python, "--requirement", str(chosen)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return missing
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        named = [n for n, line in left.items() if any(line in error for error in errors)]
        if not named:
            raise RuntimeError(done.stderr[-3000:])
        missing += [left.pop(n) for n in named]


def main(*asked: str) -> None:
    """Check each of the platforms and Pythons that are asked for, or all; print what was found."""
    lock, unknown = _LOCK.read_text(), False
    platforms = [p for p in _PLATFORMS if p in asked] or [*_PLATFORMS]
    pythons = [p for p in _PYTHONS if p in asked] or [*_PYTHONS]
    for platform, python in product(platforms, pythons):
        tags, machine = _PLATFORMS[platform]
        lines = lines_for(lock, machine, python)
        missing = without_wheel(lines, tags, python)
        unknown |= bool({Requirement(m).name for m in missing} - _KNOWN)
        print(
            f"{platform}, Python {python}: {len(lines) - len(missing)} of {len(lines)} lines have "
            f"a wheel; built from source: {', '.join(missing) or 'none'}",
            flush=True,
        )
    sys.exit(int(unknown))


if __name__ == "__main__":
    main(*sys.argv[1:])
