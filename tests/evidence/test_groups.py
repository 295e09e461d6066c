"""The challenger's difference by group: the same arithmetic on part of the rows, all together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from mrlm.evidence.policies import policy_estimates
from mrlm.evidence.scored_log import scored_log
from mrlm.privacy.decision_groups import group_labels
from tests.evidence.arrays import (
    OBJECTIVES,
    Heads,
    Prefers,
    clustered_error,
    criteria,
    doubly_robust,
    make_log,
)

CHALLENGER, CHAMPION = Prefers(0.4), Prefers(-0.2)


def groups_of(log, least_users: int = 1):
    told = scored_log(log, {"challenger": CHALLENGER, "champion": CHAMPION}, Heads())
    found = policy_estimates(log, told.probabilities, told.q, None, criteria(), least_users)
    return found["groups"]


def test_each_group_is_the_difference_on_its_own_rows() -> None:
    log = make_log()
    found = groups_of(log)
    assert [(g.kind, g.group) for g in found] == [("scene", "home"), ("scene", "page")]
    row = doubly_robust(CHALLENGER, log) - doubly_robust(CHAMPION, log)
    for g in found:
        mine = log.decisions.scene == g.group
        assert (g.rows, g.users) == (mine.sum(), len(set(log.decisions.user[mine])))
        assert set(g.differences) == {"delight", "like"}
        lift = g.differences["delight"]
        assert lift.value == pytest.approx(row[mine].mean(), abs=1e-12)
        error = clustered_error(row[mine], log.decisions.user[mine])
        assert lift.standard_error == pytest.approx(error, rel=1e-9)


def test_intervals_of_all_groups_hold_together() -> None:
    """Two groups and two objectives: a quarter of the error each."""
    for g in groups_of(make_log()):
        lift = g.differences["delight"]
        assert lift.level == pytest.approx(1 - 0.05 / 4)
        wide = stats.t.ppf(1 - 0.05 / 8, lift.degrees_of_freedom) * lift.standard_error
        # Skewness moves the interval, and hardly changes how wide it is.
        assert lift.upper - lift.lower == pytest.approx(2 * wide, rel=0.05)


def test_small_groups_are_told_together_and_groups_that_are_all_alike_not_at_all() -> None:
    log = make_log()
    scene = log.decisions.scene.copy()
    scene[:4] = ["rare", "rare", "rarer", "rarer"]
    log = replace(log, decisions=replace(log.decisions, scene=scene))
    labels = group_labels(log, 20)
    assert set(labels) == {"scene"}
    assert set(labels["scene"]) <= {"home", "page", "other"}
    assert "rare" not in set(labels["scene"])


def test_unknown_rewards_widen_the_groups_that_they_are_of() -> None:
    log = make_log()
    unknown = log.unknown.copy()
    unknown[:20, 1] = True
    rewards = np.where(unknown, np.nan, log.rewards)
    worse = replace(log, unknown=unknown, final=~unknown, rewards=rewards)
    for plain, with_loss in zip(groups_of(log), groups_of(worse), strict=True):
        before, after = plain.differences["like"], with_loss.differences["like"]
        assert after.unknown_low < 0 < after.unknown_high
        assert after.lower < before.lower
        assert after.upper > before.upper
        assert plain.differences["delight"].unknown_low == 0


@pytest.mark.statistics
def test_no_group_is_called_better_or_worse_where_none_is() -> None:
    """Two policies that differ only where it does not matter: of 100 logs an interval of any group
    leaves 0 out in about 5, in more than 13 with a chance below .001."""
    wrong = 0
    for seed in range(100):
        log = make_log(seed, n=300)
        g = np.random.default_rng(1000 + seed)
        noise = g.normal(0, 1, (len(log), len(OBJECTIVES)))
        found = groups_of(replace(log, rewards=noise))
        wrong += any(
            d.lower > 0 or d.upper < 0
            for group in found
            for d in (group.differences["delight"], group.differences["like"])
        )
    assert wrong <= 13
