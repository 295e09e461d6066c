"""One thread inside PyTorch, for networks this small."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


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
