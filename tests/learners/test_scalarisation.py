from __future__ import annotations

from dataclasses import replace

import numpy as np

from mrlm.bandit_log import BanditLog, Objective
from mrlm.bandit_log.known_rewards import known_rewards
from mrlm.learners.inputs import sample_sessions
from mrlm.learners.scalarisation import fit_scalarisation

RECENCY = Objective("recency", "item", attribute="year", low=1950, high=2016)


def with_recency(log: BanditLog) -> BanditLog:
    known = known_rewards(log.decisions, RECENCY)[log.shown]
    return replace(
        log,
        objectives=(*log.objectives, RECENCY),
        rewards=np.column_stack([log.rewards, known]),
        final=np.column_stack([log.final, np.ones(len(log), bool)]),
    )


def test_weights_are_comparable_and_sum_to_one(fit_log: BanditLog) -> None:
    log = with_recency(fit_log)
    fitted = fit_scalarisation(log, {"like": 3.0, "recency": 1.0})
    np.testing.assert_allclose(fitted.weight, [0.75, 0.0, 0.25])
    parts = fitted.standardise(log.rewards)
    np.testing.assert_allclose(parts.mean(axis=0), 0.0, atol=1e-9)
    np.testing.assert_allclose(parts.std(axis=0), [0.75, 0.0, 0.25])


def test_a_change_of_unit_or_zero_changes_nothing(fit_log: BanditLog) -> None:
    moved = replace(fit_log, rewards=fit_log.rewards * 100.0 + 7.0)
    weights = {"like": 1.0, "rating": 1.0}
    np.testing.assert_allclose(
        fit_scalarisation(moved, weights).standardise(moved.rewards),
        fit_scalarisation(fit_log, weights).standardise(fit_log.rewards),
        atol=1e-9,
    )


def test_item_objectives_are_exact_for_every_candidate(fit_log: BanditLog) -> None:
    log = with_recency(fit_log)
    n = len(log.decisions.candidates.values)
    heads = {"like": np.full(n, 0.5), "rating": np.full(n, 3.0)}
    vectors = fit_scalarisation(log, {"recency": 1.0}).candidate_rewards(log.decisions, heads)
    np.testing.assert_array_equal(vectors[:, 2], known_rewards(log.decisions, RECENCY))
    np.testing.assert_array_equal(vectors[log.shown, 2], log.rewards[:, 2])


def test_rewards_that_are_not_final_do_not_count(fit_log: BanditLog) -> None:
    final = fit_log.final.copy()
    final[: len(final) // 2] = False
    fitted = fit_scalarisation(replace(fit_log, final=final), {"like": 1.0})
    np.testing.assert_allclose(fitted.mean, fit_log.rewards[len(final) // 2 :].mean(axis=0))


def test_sampling_keeps_whole_sessions_in_order(fit_log: BanditLog) -> None:
    part = sample_sessions(fit_log, 300, seed=0)
    sizes = dict(zip(*np.unique(fit_log.session.astype(str), return_counts=True), strict=True))
    kept = dict(zip(*np.unique(part.session.astype(str), return_counts=True), strict=True))
    assert 250 < len(part) <= 300
    assert all(sizes[s] == k for s, k in kept.items())
    assert (np.diff(part.decisions.ts).astype(int) >= 0).all()
    assert sample_sessions(fit_log, len(fit_log), seed=0) is fit_log
