"""The result of a function's last call, for callers that ask the same thing in turn."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

A = TypeVar("A")
T = TypeVar("T")


@dataclass
class LastCall(Generic[A, T]):
    """Keeps one result a thread as long as its argument, an object that is never changed, lives."""

    _own: threading.local = field(default_factory=threading.local)

    def __reduce__(self) -> tuple[type[LastCall[A, T]], tuple[()]]:
        """What is sent to another process has kept nothing."""
        return type(self), ()

    def of(self, argument: A, function: Callable[[A], T]) -> T:
        """``function(argument)``; computed once for calls in a row with the very same object."""
        kept: list[tuple[weakref.ref[A], T]] = self._own.__dict__.setdefault("kept", [])
        if kept and kept[0][0]() is argument:
            return kept[0][1]
        result = function(argument)

        def forget(gone: weakref.ref[A]) -> None:
            # The argument may end in another thread.
            if kept and kept[0][0] is gone:
                kept.clear()

        kept[:] = [(weakref.ref(argument, forget), result)]
        return result
