"""Install what infra/requirements.lock names, and the project, without resolving anything.

Run by infra/setup.sh with the Python of an environment that has pip; standard library only.

The lock file names every package and says who wants it, so pip need not work that out again. One
choice is left to the machine: which build of torch it gets. A CPU build, where the machine's pip is
told of one, names no CUDA package; what only those want is then left out.

Pip uses one core and the machine has more, so several run at once, each with packages of its own.
They compile no module: infra/first_imports.py does so for those that are used.

Sources: the format of ``uv pip compile`` (requirements with markers, each followed by ``# via``).
"""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_LOCK = _ROOT / "infra" / "requirements.lock"
_PROJECT = "mrlm"
# Takes half the processor time of the one that Python 3.11 brings.
_PIP = "pip==26.3"
# Markers are read with what was just installed, rather than with pip's private copy.
_FIRST = ("torch", "packaging")
# The only one that comes as source, and half of all bytes: built while the others are fetched.
_BUILT = ("pyspark",)
# Its jars are compressed already: the wheel that pip builds, to unpack it at once, need not be.
_STORED = "[bdist_wheel]\ncompression = stored\n"
_SECONDS_BETWEEN_LINES = 10.0


@dataclass
class Locked:
    """One package of the lock file.

    Attributes:
        lines: its requirements; several where the version depends on the Python.
        wanted_by: names of the packages that ask for it.
    """

    lines: list[str] = field(default_factory=list)
    wanted_by: set[str] = field(default_factory=set)


def read_lock(text: str) -> dict[str, Locked]:
    """The packages of a lock file by canonical name.

    Raises:
        ValueError: a line is neither a pinned requirement nor a comment; names it.
    """
    packages: dict[str, Locked] = {}
    current = Locked()
    for number, line in enumerate(text.splitlines(), start=1):
        comment = re.fullmatch(r"\s+#\s+(?:via\s*)?(\S*)(?: \(.*\))?", line)
        if comment:
            current.wanted_by |= {canonical(comment[1])} - {""}
            continue
        pinned = re.match(r"([A-Za-z0-9._-]+)==\S", line)
        if pinned is None:
            raise ValueError(f"line {number} of the lock file is no pinned package: {line!r}")
        current = packages.setdefault(canonical(pinned[1]), Locked())
        current.lines.append(line)
    return packages


def canonical(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def reachable(packages: dict[str, Locked], torch_wants: set[str]) -> list[str]:
    """Names of what the project needs where torch wants only ``torch_wants``, sorted."""
    wants: dict[str, set[str]] = {}
    for name, package in packages.items():
        for by in package.wanted_by:
            wants.setdefault(by, set()).add(name)
    wants["torch"] = wants.get("torch", set()) & torch_wants
    found, ahead = set(), [_PROJECT]
    while ahead:
        new = wants.get(ahead.pop(), set()) - found
        found |= new
        ahead += new
    return sorted(found)


def torch_wants() -> set[str]:
    """Names that the installed torch asks for on this machine."""
    importlib.invalidate_caches()
    from importlib.metadata import requires

    from packaging.requirements import Requirement

    asked = [Requirement(r) for r in requires("torch") or ()]
    return {
        canonical(r.name) for r in asked if r.marker is None or r.marker.evaluate({"extra": ""})
    }


def for_this_python(package: Locked) -> bool:
    """Whether one of a package's lines is for this Python and machine."""
    from packaging.requirements import Requirement

    markers = [Requirement(line).marker for line in package.lines]
    return any(marker is None or marker.evaluate() for marker in markers)


class Pip:
    """Pip, whose index, find-links and constraints are the machine's.

    Attributes:
        collected: how many packages it has begun to fetch, over all calls.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self.collected = 0
        configuration = scratch / "build.cfg"
        configuration.write_text(_STORED)
        self._environment = {**os.environ, "DIST_EXTRA_CONFIG": str(configuration)}

    def __call__(self, *arguments: str) -> None:
        """Run it; what it printed is shown if it fails.

        Raises:
            subprocess.CalledProcessError: it failed.
        """
        command = [sys.executable, "-m", "pip", *arguments, "--disable-pip-version-check"]
        printed = []
        with subprocess.Popen(
            command,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            for line in process.stdout or ():
                printed.append(line)
                self.collected += line.startswith(("Collecting ", "Processing "))
        if process.returncode:
            sys.stderr.writelines(["\n", *printed])
            raise subprocess.CalledProcessError(process.returncode, command)

    def install(self, names: Iterable[str], packages: dict[str, Locked]) -> None:
        """Install the locked versions of these packages and nothing else."""
        lines = [line for name in names for line in packages[name].lines]
        with tempfile.NamedTemporaryFile("w", dir=self._scratch, suffix=".txt") as chosen:
            chosen.write("\n".join(lines) + "\n")
            chosen.flush()
            self("install", "--no-deps", "--no-compile", "--requirement", chosen.name)


def install_locked(pip: Pip, packages: dict[str, Locked], planned: Callable[[int], None]) -> None:
    """Install the lock's packages and the project, several at once.

    Args:
        pip: runs it.
        packages: of the lock file.
        planned: told the number of packages once it is known.

    Raises:
        subprocess.CalledProcessError: a call of pip failed.
    """
    with ThreadPoolExecutor(2) as both:
        built = both.submit(pip.install, _BUILT, packages)
        pip.install(_FIRST, packages)
        names = [n for n in reachable(packages, torch_wants()) if for_this_python(packages[n])]
        planned(len(names))
        project = both.submit(pip, "install", "--no-deps", "--editable", str(_ROOT))
        rest = [n for n in names if n not in (*_FIRST, *_BUILT)]
        shares = [both.submit(pip.install, rest[start::2], packages) for start in (0, 1)]
        for share in (built, project, *shares):
            share.result()
    pip("check")


@contextmanager
def shown(pip: Pip) -> Iterator[Callable[[int], None]]:
    """Show how many packages are fetched and installed: a bar at a terminal, else lines."""
    begun, done = time.monotonic(), threading.Event()
    total = [0]
    place = Path(sysconfig.get_path("purelib"))

    def text() -> str:
        installed = len(list(place.glob("*.dist-info")))
        of = f" of {total[0]}" if total[0] else ""
        seconds = time.monotonic() - begun
        return f"{seconds:4.0f} s  packages{of}: {pip.collected} fetched, {installed} installed"

    def show() -> None:
        terminal = sys.stdout.isatty()
        while not done.wait(0.5 if terminal else _SECONDS_BETWEEN_LINES):
            print(
                f"\r\x1b[K  {_bar(pip.collected, total[0])}{text()}" if terminal else f"  {text()}",
                end="" if terminal else "\n",
                flush=True,
            )
        print(f"\r\x1b[K  {text()}" if terminal else f"  {text()}", flush=True)

    shower = threading.Thread(target=show)
    shower.start()
    try:
        yield lambda number: total.__setitem__(0, number)
    finally:
        done.set()
        shower.join()


def _bar(count: int, total: int, width: int = 30) -> str:
    full = min(width, width * count // total) if total else 0
    return f"[{'#' * full}{'.' * (width - full)}] "


def main() -> None:
    """Install; where the result is not consistent, have pip resolve everything after all."""
    with tempfile.TemporaryDirectory() as scratch:
        pip = Pip(Path(scratch))
        try:
            pip("install", "--quiet", _PIP)
        except subprocess.CalledProcessError:
            print(f"  no {_PIP} here: the pip that Python brings goes on", file=sys.stderr)
        try:
            with shown(pip) as planned:
                install_locked(pip, read_lock(_LOCK.read_text()), planned)
        except subprocess.CalledProcessError as error:
            print(
                f"  'pip {' '.join(map(str, error.cmd[3:5]))}' failed: pip now resolves every "
                "dependency, which takes some minutes more",
                file=sys.stderr,
            )
            project = ["--editable", f"{_ROOT}[demo,dev]"]
            subprocess.run(
                [sys.executable, "-m", "pip", "install", "--constraint", str(_LOCK), *project],
                check=True,
            )


if __name__ == "__main__":
    main()
