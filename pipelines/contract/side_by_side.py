"""The same work on several files, by as many processes as there are cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import current_process, get_context
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
# Less is read in the second or two that processes need to start.
LARGE_BYTES = 64 << 20


def side_by_side(work: Callable[[Path], T], paths: Sequence[Path]) -> Iterator[T]:
    """What ``work`` says of each file, in their order.

    Processes and not threads, for Python hashes short rows by one thread at a time. Where the files
    are small, or this process may have no children, it does the work itself.

    Args:
        work: a function of a module; what it returns is sent from process to process.
        paths: of local files.
    """
    processes = min(len(os.sched_getaffinity(0)), len(paths))
    size = sum(path.stat().st_size for path in paths)
    if processes < 2 or size < LARGE_BYTES or current_process().daemon:
        yield from map(work, paths)
        return
    # A fresh process each: forking one whose libraries have threads may lock up.
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        yield from pool.map(work, paths)
