"""One thread inside PyTorch, for networks this small; what is big runs side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

A = TypeVar("A")
T = TypeVar("T")
# As many as a small machine has cores; each holds the features of a block or a night.
_AT_ONCE = 2


@contextmanager
def one_thread() -> Iterator[None]:
    """Run PyTorch operations on one thread, and restore the number after.

    On batches of a few hundred rows a second thread wins nothing, and on a machine with other work
    its busy waiting costs minutes. It also makes results independent of the number of threads.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def side_by_side(function: Callable[[A], T], arguments: Iterable[A]) -> list[T]:
    """``function`` of each argument, two at a time, in the order of the arguments.

    NumPy and PyTorch let another thread of Python run while they compute. Each has one thread
    inside PyTorch, so results are those of one after the other. Not for what draws from PyTorch's
    global generator.

    Raises:
        Exception: the first that the function raises, in the order of the arguments.
    """
    with one_thread(), ThreadPoolExecutor(_AT_ONCE, initializer=_alone) as pool:
        return list(pool.map(function, arguments))


def _alone() -> None:
    # What ``one_thread`` finds and puts back in this thread, while others compute.
    torch.set_num_threads(1)
