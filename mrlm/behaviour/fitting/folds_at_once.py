"""Folds that are fitted side by side, in processes, where this process may use several cores."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, Protocol, TypeVar, cast

import torch

from mrlm.behaviour.fitting.cost import LogSize, fit_cost
from mrlm.behaviour.fitting.free_memory import free_bytes
from mrlm.behaviour.fitting.training_curves import Progress
from mrlm.behaviour.sequence.event_training import device_of
from mrlm.behaviour.settings import BehaviourSettings
from mrlm.metrics.curves import Curves

# With fewer rows a fork costs as much as it saves (``benchmarks behaviour.cost``).
_LEAST_ROWS = 20_000
# Of the memory that is free.
_SHARE = 0.5
_BYTES_PER_GIB = float(1 << 30)
# Of Linux's prctl: the signal that a process gets when its parent ends.
_PR_SET_PDEATHSIG = 1
# What ends a process in order: this one's way of doing so is not its forks'.
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class FitFold(Protocol[T_co]):
    """Fits one fold."""

    def __call__(self, fold: int, curves: Curves | None, epoch: Callable[[], None]) -> T_co:
        """What is fitted without the users of a fold; the same in whichever process.

        Args:
            fold: from 0.
            curves: takes what the training tells.
            epoch: to be called after each epoch.
        """
        ...


@dataclass
class _Running(Generic[T]):
    """A fold that is being fitted in a process of its own."""

    fold: int
    process: BaseProcess
    said: Connection


@dataclass
class _Told:
    """Epochs that any fold has done."""

    progress: Progress | None
    epochs: int
    done: int = field(default=0)

    def __call__(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.epochs)


def fitted_folds(
    fit: FitFold[T],
    settings: BehaviourSettings,
    size: LogSize,
    progress: Progress | None = None,
    curves: Curves | None = None,
) -> list[T]:
    """What is fitted of each fold, in their order, as many at a time as ``processes_for`` says.

    Several are fitted in forks of this process, which share what it holds and copy only what they
    write. PyTorch computes on one thread in each, as its own data loaders do in their forks.

    Args:
        fit: of one fold; what it returns is sent from process to process.
        settings: how many folds and epochs.
        size: of what is fitted on.
        progress: called with (epochs done, epochs in all).
        curves: takes the curves of all folds, in their order.

    Raises:
        Exception: whatever a fold raises.
        MemoryError: a process was killed, as the system does where memory is short.
        ChildProcessError: a process ended otherwise before it was done.
    """
    folds = range(settings.folds)
    kept = [None if curves is None else Curves() for _ in folds]
    told = _Told(progress, settings.folds * settings.epochs)
    at_once = processes_for(settings, size)
    if at_once < 2:
        found = [fit(k, kept[k], told) for k in folds]
    else:
        found = _forked(fit, at_once, told, kept)
    for own in kept:
        if own is not None and curves is not None:
            curves.extend(own)
    return found


def processes_for(settings: BehaviourSettings, size: LogSize) -> int:
    """How many folds are fitted at a time: as many as PyTorch may use threads, where that pays.

    And as half of the memory that is free holds, the container's where this runs in one, each as
    much as ``fit_cost`` says of all. One where the model may read on a GPU, which forks cannot
    share; and one off Linux, and in a pool's child, which may have no children.
    """
    on_gpu = settings.model == "language" or (
        settings.model == "sequence" and device_of(settings.sequence).type == "cuda"
    )
    forks = sys.platform == "linux" and not multiprocessing.current_process().daemon
    if on_gpu or not forks or size.rows < _LEAST_ROWS:
        return 1
    free = _SHARE * free_bytes() / _BYTES_PER_GIB
    held = int(free / fit_cost(settings, size).gib)
    threads: int = torch.get_num_threads()
    return max(1, min(settings.folds, threads, held))


def _forked(fit: FitFold[T], at_once: int, told: _Told, kept: list[Curves | None]) -> list[T]:
    found: dict[int, T] = {}
    waiting = list(range(len(kept)))
    with _ended() as running:
        while waiting or running:
            while waiting and len(running) < at_once:
                fold = waiting.pop(0)
                running.append(_started(fit, fold, kept[fold]))
            for said in wait([r.said for r in running]):
                of = next(r for r in running if r.said is said)
                message = _received(of)
                if message is None:
                    told()
                    continue
                running.remove(of)
                of.process.join()
                kept[of.fold], found[of.fold] = message
    return [found[k] for k in range(len(kept))]


def _started(fit: FitFold[T], fold: int, curves: Curves | None) -> _Running[T]:
    context = multiprocessing.get_context("fork")
    received, sent = context.Pipe(duplex=False)
    arguments = (fit, fold, curves, sent, os.getpid())
    process = context.Process(target=_fit_and_send, args=arguments, daemon=True)
    # Signals wait: none may meet a fork that still has this process's handlers.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    # The end of the pipe that only the child writes to: it is seen when the child has ended.
    sent.close()
    return _Running(fold, process, received)


def _fit_and_send(
    fit: FitFold[Any], fold: int, curves: Curves | None, sent: Connection, parent: int
) -> None:
    _become_fork(parent)
    torch.set_num_threads(1)
    try:
        _send(sent, (curves, fit(fold, curves, lambda: _send(sent, None))))
    except Exception as error:
        _send(sent, _as_sent(error))


def _become_fork(parent: int) -> None:
    """End with the parent and by the parent alone, and leave to it what it holds."""
    # The pipe does not tell that its reader is gone: forks hold copies of that end.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    # Who interrupts a command signals its forks too, and the parent ends them.
    for signum in _ENDING:
        signal.signal(signum, signal.SIG_IGN if signum == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
    # What the parent holds is never collected here: Spark's objects would tell Java that they are
    # gone, on the parent's own connection. And what is not collected is not copied.
    gc.freeze()


def _as_sent(error: Exception) -> Exception:
    """The error, or what it says where it cannot be sent from process to process."""
    try:
        # Some are written and cannot be read: their classes ask for more than their text.
        pickle.loads(pickle.dumps(error))  # noqa: S301
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _send(sent: Connection, message: Any) -> None:
    # As bytes: PyTorch would send the memory of tensors, which ends with the process.
    sent.send_bytes(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))


def _received(of: _Running[T]) -> tuple[Curves | None, T] | None:
    """What a fold was fitted to; None: an epoch is done."""
    try:
        # Only our own fork writes to it.
        message = pickle.loads(of.said.recv_bytes())  # noqa: S301
    except (EOFError, OSError):
        of.process.join()
        code = of.process.exitcode
        ended = f"the process that fitted fold {of.fold} of the behaviour model was ended ({code})"
        if code == -signal.SIGKILL:
            raise MemoryError(
                f"{ended}: with OMP_NUM_THREADS=1 folds are fitted one after the other"
            ) from None
        raise ChildProcessError(ended) from None
    if isinstance(message, Exception):
        raise message
    return cast("tuple[Curves | None, T] | None", message)


@contextmanager
def _ended() -> Iterator[list[_Running[Any]]]:
    """What runs, which ends with the block whatever happens in it."""
    running: list[_Running[Any]] = []
    try:
        yield running
    finally:
        for left in running:
            left.process.terminate()
            left.process.join()
