"""The result of a function's last call, for callers that ask the same thing in turn."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

A = TypeVar("A")
T = TypeVar("T")


@dataclass
class LastCall(Generic[A, T]):
    """Keeps one result as long as its argument, an object that is never changed, lives.

    Threads may share it: each sees a whole result, at worst not the newest.
    """

    _kept: tuple[weakref.ref[A], T] | None = None

    def of(self, argument: A, function: Callable[[A], T]) -> T:
        """``function(argument)``; computed once for calls in a row with the very same object."""
        kept = self._kept
        if kept is not None and kept[0]() is argument:
            return kept[1]
        result = function(argument)
        self._kept = (weakref.ref(argument, self._forget), result)
        return result

    def _forget(self, gone: weakref.ref[A]) -> None:
        kept = self._kept
        if kept is not None and kept[0] is gone:
            self._kept = None
