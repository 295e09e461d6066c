from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

from mrlm.bandit_log import BanditLog
from pipelines.failures.errors import DataError
from pipelines.nights.completed import read_completed
from tests.evidence.arrays import CANDIDATES, make_log
from tests.pipelines.nights.workspaces import Made

NIGHT = "2026-11-20"


def lost(log: BanditLog, every: int) -> BanditLog:
    gone = np.arange(len(log)) % every == 0
    rows = np.repeat(gone, CANDIDATES)
    return replace(
        log,
        propensity=np.where(gone, np.nan, log.propensity),
        candidate_propensity=np.where(rows, np.nan, log.candidate_propensity),
    )


def test_a_whole_log_is_read_as_it_is(made: Made) -> None:
    log = make_log(n=20, nights=(NIGHT,))
    made.night(NIGHT, log)
    found, estimated = read_completed(made.context(NIGHT), [NIGHT])
    assert estimated is None
    assert found.propensity.tolist() == log.propensity.tolist()


def test_estimates_are_told_in_the_log(made: Made, caplog: pytest.LogCaptureFixture) -> None:
    log = make_log(n=400, users=80, nights=(NIGHT,))
    made.night(NIGHT, lost(log, 4))
    context = made.context(NIGHT)
    with caplog.at_level(logging.WARNING, logger="mrlm"):
        found, estimated = read_completed(context, [NIGHT])
    assert estimated is not None
    assert estimated.estimated.mean() == 0.25
    assert np.isfinite(found.propensity).all()
    assert f"[{context.run_key}] [propensities] {NIGHT}: 25.0 % of the prop" in caplog.text


def test_what_cannot_be_estimated_names_the_setting_that_leaves_it_out(made: Made) -> None:
    made.night(NIGHT, lost(make_log(n=3, users=3, nights=(NIGHT,)), 1))
    with pytest.raises(DataError, match=r"cannot be estimated: .*ingestion\.propensity"):
        read_completed(made.context(NIGHT), [NIGHT])
