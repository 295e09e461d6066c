from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.bandit_log import BanditLog
from mrlm.evidence.propensities import completed, estimated_report
from mrlm.ope.batch import EvaluationBatch
from tests.evidence.arrays import CANDIDATES, Prefers, chances, make_log, weights

TARGET = Prefers(0.3)


def lost(log: BanditLog, gone: np.ndarray, *, candidates: bool = True) -> BanditLog:
    """The log without the propensities of some rows, and without those of their candidates."""
    rows = np.repeat(gone, CANDIDATES)
    return replace(
        log,
        propensity=np.where(gone, np.nan, log.propensity),
        candidate_propensity=np.where(rows & candidates, np.nan, log.candidate_propensity),
    )


def uniform_log(n: int = 900) -> BanditLog:
    """A log whose logger draws each of three candidates with the same chance."""
    log = make_log(n=n, users=90)
    g = np.random.default_rng(1)
    return replace(
        log,
        action=g.integers(0, CANDIDATES, n),
        propensity=np.full(n, 1 / CANDIDATES),
        candidate_propensity=np.full(n * CANDIDATES, 1 / CANDIDATES),
    )


def test_a_whole_log_stays_as_it_is() -> None:
    log = make_log()
    assert completed(log) == (log, None)


def test_estimates_take_the_place_of_what_is_missing_and_of_nothing_else() -> None:
    log = uniform_log()
    gone = np.arange(len(log)) % 4 == 0
    filled, found = completed(lost(log, gone))
    assert found is not None
    assert found.estimated.tolist() == gone.tolist()
    assert (filled.propensity[~gone] == log.propensity[~gone]).all()
    known = np.repeat(~gone, CANDIDATES)
    assert (filled.candidate_propensity[known] == log.candidate_propensity[known]).all()
    # The chance of a third is told to about .03 by the rows of one fold; three times that.
    assert np.abs(filled.propensity[gone] - 1 / CANDIDATES).max() < 0.1
    whole = filled.candidate_propensity.reshape(-1, CANDIDATES)
    assert whole.sum(1) == pytest.approx(1.0, abs=1e-6)
    assert (filled.propensity[gone] == whole[gone, filled.action[gone]]).all()
    assert (found.candidate_propensity == filled.candidate_propensity).all()
    assert found.propensity is filled.propensity


def test_a_row_whose_candidates_were_logged_but_not_its_own_chance_is_estimated_whole() -> None:
    """Half a row's propensities would not be those of one logger."""
    log = make_log(n=900, users=90)
    gone = np.arange(len(log)) % 2 == 0
    filled, found = completed(lost(log, gone, candidates=False))
    assert found is not None
    whole = filled.candidate_propensity.reshape(-1, CANDIDATES)
    assert (filled.propensity[gone] == whole[gone, filled.action[gone]]).all()
    assert not np.allclose(whole[gone], log.candidate_propensity.reshape(-1, CANDIDATES)[gone])


def test_too_few_users_cannot_tell() -> None:
    few = make_log(n=3, users=3)
    with pytest.raises(ValueError, match="propensities are missing and cannot be estimated: "):
        completed(lost(few, np.ones(3, np.bool_)))


def test_the_report_starts_at_the_self_normalised_value() -> None:
    """At strength 1 there is no hidden confounding; more of it leaves a wider range."""
    log = uniform_log()
    filled, found = completed(lost(log, np.arange(len(log)) % 4 == 0))
    assert found is not None
    batch = EvaluationBatch.from_log(filled, chances(TARGET, filled).ravel(), None, "challenger")
    report = estimated_report(batch, found)
    assert report["estimated"] is True
    assert report["estimated_share"] == pytest.approx(0.25)
    own = [b for b in report["bounds"] if b["objective"] == "delight"]
    w, reward = weights(TARGET, filled), filled.rewards[:, 0]
    value = (w @ reward) / w.sum()
    assert own[0]["value_lower"] == pytest.approx(value, abs=1e-9)
    assert own[0]["value_upper"] == pytest.approx(value, abs=1e-9)
    widths = [b["value_upper"] - b["value_lower"] for b in own]
    assert widths == sorted(widths)
    assert widths[-1] > widths[0]
    assert own[-1]["value_lower"] < value < own[-1]["value_upper"]
