"""Memory that may still be taken: of the machine, and of the container that this runs in."""

from __future__ import annotations

from pathlib import Path

import psutil

_GROUPS = Path("/sys/fs/cgroup")
# Of Linux's control groups, the second version and the first: what may be taken, what is, and how
# much of that are files which the kernel gives up when it has to.
_FILES = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)


def free_bytes(groups: Path = _GROUPS) -> float:
    """Bytes that are free, of the machine's or of the container's, whichever are fewer.

    A container sees all memory of its machine, and is ended when it takes more than its own.

    Args:
        groups: where Linux tells of control groups.
    """
    machine = float(psutil.virtual_memory().available)
    return min(machine, *(_of_group(groups, *names) for names in _FILES))


def _of_group(groups: Path, limit: str, used: str, told: str, files: str) -> float:
    """What a control group has left; infinite where there is none, or it has no limit."""
    try:
        most = (groups / limit).read_text().strip()
        if most == "max":
            return float("inf")
        named = dict(line.split() for line in (groups / told).read_text().splitlines())
        taken = int((groups / used).read_text()) - int(named.get(files, 0))
        return float(max(int(most) - taken, 0))
    except (OSError, ValueError):
        return float("inf")
