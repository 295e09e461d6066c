from __future__ import annotations

import multiprocessing
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch

from mrlm.bandit_log import BanditLog
from mrlm.behaviour.fitting import folds_at_once
from mrlm.behaviour.fitting.cost import LogSize, fit_cost
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.behaviour.fitting.folds_at_once import fitted_folds, processes_for
from mrlm.behaviour.sequence_settings import SequenceSettings
from mrlm.behaviour.settings import BehaviourSettings
from mrlm.metrics.curves import Curves

LOG = LogSize(50_000, 20.0)
SMALL = {"folds": 3, "components": 4, "hidden": 8, "projection": 4, "epochs": 2}


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(folds_at_once, "_LEAST_ROWS", 1)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    "more",
    [
        {"model": "pair"},
        {"model": "history"},
        {"model": "sequence", "sequence": SequenceSettings(epochs=1)},
        {"model": "history", "distil": 0.5},
    ],
)
@pytest.mark.usefixtures("two_threads")
def test_folds_side_by_side_are_those_of_one_after_the_other(
    fit_log: BanditLog, more: dict[str, object]
) -> None:
    settings = BehaviourSettings.model_validate({**SMALL, **more})
    log = fit_log.on_nights(["2026-11-09"])
    assert processes_for(settings, LogSize(len(log), 3.0)) == 2

    def fitted() -> tuple[bytes, Curves, list[tuple[int, int]]]:
        curves, told = Curves(), list[tuple[int, int]]()
        model = fit_reward_model(log, settings, 1, lambda *done: told.append(done), curves)
        return model.score(log.decisions).tobytes(), curves, told

    together = fitted()
    torch.set_num_threads(1)
    alone = fitted()
    assert together == alone
    assert list(together[1].points) == list(alone[1].points)
    assert alone[2][-1][0] == alone[2][-1][1] == len(alone[2])


@pytest.mark.usefixtures("two_threads")
def test_what_a_fold_raises_ends_the_others() -> None:
    def fit(fold: int, curves: Curves | None, epoch: Callable[[], None]) -> int:
        if fold == 1:
            raise ValueError("fold 1 has no user")
        time.sleep(600)
        return fold

    with pytest.raises(ValueError, match="fold 1 has no user"):
        fitted_folds(fit, BehaviourSettings(folds=2), LogSize(10, 0.0))


@pytest.mark.usefixtures("two_threads")
def test_a_process_that_the_system_ended_is_told_of() -> None:
    def fit(fold: int, curves: Curves | None, epoch: Callable[[], None]) -> int:
        epoch()
        if fold == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return fold

    with pytest.raises(MemoryError, match=r"fitted fold 2 .* was ended \(-9\).*OMP_NUM_THREADS=1"):
        fitted_folds(fit, BehaviourSettings(folds=3), LogSize(10, 0.0))


class AsksForMore(Exception):
    """Can be written, and not read: its class asks for a row too."""

    def __init__(self, row: int, said: str) -> None:
        super().__init__(said)


@pytest.mark.usefixtures("two_threads")
def test_an_error_that_cannot_be_sent_is_told_in_words() -> None:
    def fit(fold: int, curves: Curves | None, epoch: Callable[[], None]) -> int:
        raise AsksForMore(3, "row 3 has no user")

    with pytest.raises(RuntimeError, match=r"AsksForMore: row 3 has no user"):
        fitted_folds(fit, BehaviourSettings(folds=2), LogSize(10, 0.0))


def test_a_process_that_is_killed_as_it_sends_is_told_of() -> None:
    received, sent = multiprocessing.Pipe(duplex=False)
    with sent:
        # What a longer message begins with.
        os.write(sent.fileno(), struct.pack("!i", 100) + b"half")
    killed = SimpleNamespace(join=lambda: None, exitcode=-signal.SIGKILL)
    with received, pytest.raises(MemoryError, match="fitted fold 1"):
        folds_at_once._received(folds_at_once._Running(1, killed, received))  # type: ignore[arg-type]


_ORPHANS = """
import os, signal, time
import torch
from mrlm.behaviour.fitting import folds_at_once
from mrlm.behaviour.fitting.cost import LogSize
from mrlm.behaviour.settings import BehaviourSettings

def fit(fold, curves, epoch):
    os.write(1, f"{os.getpid()}\\n".encode())
    time.sleep(600)

def interrupted(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGTERM, interrupted)
folds_at_once._LEAST_ROWS = 1
torch.set_num_threads(2)
try:
    folds_at_once.fitted_folds(fit, BehaviourSettings(folds=2), LogSize(10, 0.0))
except KeyboardInterrupt:
    pass
"""


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_folds_end_with_the_process_that_asked_for_them(signum: int) -> None:
    """Whatever ends it, at once and without a word; a whole group is signalled as by Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, "-c", _ORPHANS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    forks = [psutil.Process(int(process.stdout.readline())) for _ in range(2)]
    if signum == signal.SIGINT:
        os.killpg(process.pid, signum)
    else:
        process.send_signal(signum)
    # Standard error is open until the last fork is gone.
    _, told = process.communicate(timeout=60)
    _, alive = psutil.wait_procs(forks, timeout=60)
    assert not alive
    assert told == ""


@pytest.mark.usefixtures("two_threads")
def test_more_folds_than_processes_keep_their_order() -> None:
    def fit(fold: int, curves: Curves | None, epoch: Callable[[], None]) -> tuple[int, np.ndarray]:
        epoch()
        if curves is not None:
            curves.add("loss", fold, 1.0)
        time.sleep(0.02 * (5 - fold))
        # More than a pipe holds.
        return fold, np.full(1 << 20, fold)

    curves, told = Curves(), list[tuple[int, int]]()
    settings = BehaviourSettings(folds=5, epochs=1)
    found = fitted_folds(fit, settings, LogSize(10, 0.0), lambda *done: told.append(done), curves)
    assert [(k, values[-1]) for k, values in found] == [(k, k) for k in range(5)]
    assert curves.points["loss"] == [(k, 1.0) for k in range(5)]
    assert told == [(k, 5) for k in range(1, 6)]


def test_only_what_gains_is_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert processes_for(BehaviourSettings(folds=3), LOG) == 3
    assert processes_for(BehaviourSettings(folds=3), LogSize(10, 0.0)) == 1
    assert processes_for(BehaviourSettings(model="language"), LOG) == 1
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert processes_for(BehaviourSettings(model="sequence"), LOG) == 1
    assert processes_for(BehaviourSettings(model="history"), LOG) == 3
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert processes_for(BehaviourSettings(folds=3), LOG) == 1


def test_no_more_are_forked_than_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    large, settings = LogSize(500_000, 100.0), BehaviourSettings(folds=6)
    cost = fit_cost(settings, large).gib
    for free, held in ((20 * cost, 6), (6.5 * cost, 3), (cost, 1)):
        monkeypatch.setattr(folds_at_once, "free_bytes", lambda f=free: f * 2**30)
        assert processes_for(settings, large) == held
