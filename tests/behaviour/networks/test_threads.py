"""Side by side gives what one after the other gives, and leaves PyTorch's threads as they were."""

from __future__ import annotations

import threading
import weakref

import pytest
import torch

from mrlm.bandit_log.last_call import LastCall
from mrlm.behaviour.networks.threads import side_by_side


def test_two_run_at_a_time_each_with_one_thread_inside() -> None:
    both = threading.Barrier(2, timeout=30)

    def work(k: int) -> tuple[int, int]:
        both.wait()
        return k * k, torch.get_num_threads()

    torch.set_num_threads(2)
    try:
        assert side_by_side(work, range(4)) == [(0, 1), (1, 1), (4, 1), (9, 1)]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert side_by_side(work, []) == []


def test_the_first_error_in_the_order_of_the_arguments_is_raised() -> None:
    second = threading.Event()

    def work(k: int) -> None:
        if k == 0:
            assert second.wait(30)
        else:
            second.set()
        raise ValueError(f"argument {k}")

    with pytest.raises(ValueError, match="argument 0"):
        side_by_side(work, range(2))


class Argument:
    """Something that can be referred to weakly."""


def test_a_thread_keeps_its_own_last_call_as_long_as_the_argument_lives() -> None:
    last: LastCall[Argument, int] = LastCall()
    calls: list[Argument] = []
    both = threading.Barrier(2, timeout=30)

    def count(argument: Argument) -> int:
        calls.append(argument)
        return len(calls)

    def ask_twice(argument: Argument) -> bool:
        both.wait()
        first = last.of(argument, count)
        both.wait()
        return last.of(argument, count) == first

    assert side_by_side(ask_twice, [Argument(), Argument()]) == [True, True]
    assert len(calls) == 2
    calls.clear()
    kept = Argument()
    assert last.of(kept, count) == last.of(kept, count) == 1
    assert last.of(Argument(), count) == 2
    assert last.of(kept, count) == 3, "one result is kept"


def test_the_result_goes_with_its_argument() -> None:
    last: LastCall[Argument, Argument] = LastCall()
    argument = Argument()
    result = weakref.ref(last.of(argument, lambda _: Argument()))
    assert result() is not None
    assert last.of(argument, lambda _: Argument()) is result()
    del argument
    assert result() is None
