from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.bandit_log.ragged import segment_log_softmax
from mrlm.meta.challenger import anchor_of, challenger
from mrlm.meta.problem.problem_of_log import tuning_problem
from mrlm.meta.search.tuning_result import TuningResult
from mrlm.meta.settings import TuningSettings
from mrlm.meta.tune import tune
from mrlm.policies.features import feature_matrix
from mrlm.policies.standardise import Standardiser
from mrlm.policies.tuned import Tuned
from tests.evidence.arrays import CANDIDATES, FRESH, OBJECTIVES, Heads, Prefers, chances, make_log

LOG = make_log(n=300, users=60)
MODEL = Heads()
COLUMNS = (*MODEL.columns, "fresh")
MATRIX = feature_matrix(LOG.decisions, (MODEL,), (FRESH,))
STANDARDISER = Standardiser.fit(COLUMNS, MATRIX)
CHAMPION = Prefers(0.2, floor=0.1)


@pytest.fixture(scope="module")
def result() -> TuningResult:
    problem = tuning_problem(
        LOG, OBJECTIVES, COLUMNS, STANDARDISER.apply(MATRIX), MATRIX, CHAMPION, CHAMPION,
        floor=0.05, weight_clip=50.0,
    )  # fmt: skip
    return tune(problem, TuningSettings(), None, 0)


def nested(depth: int, result: TuningResult) -> Tuned | Prefers:
    policy: Tuned | Prefers = CHAMPION
    for _ in range(depth):
        policy = challenger(policy, (MODEL,), (FRESH,), STANDARDISER, result, 0.05)
    return policy


def test_a_champion_is_its_own_anchor_until_it_is_nested_deeply(result: TuningResult) -> None:
    for depth in range(3):
        champion = nested(depth, result)
        assert anchor_of(champion) is champion
    for depth in (3, 5):
        champion = anchor = nested(depth, result)
        for _ in range(depth - 2):
            anchor = anchor.anchor
        assert anchor.depth == 2
        assert anchor_of(champion) is anchor


def test_the_problem_is_the_log_with_the_champions_probabilities() -> None:
    final = LOG.final.copy()
    final[::2, 0] = False
    log = replace(LOG, final=final)
    problem = tuning_problem(
        log, OBJECTIVES, COLUMNS, STANDARDISER.apply(MATRIX), MATRIX, CHAMPION, CHAMPION,
        floor=0.05, weight_clip=50.0,
    )  # fmt: skip
    assert problem.serves == ("delight", "like", "fresh")
    core = np.log(chances(CHAMPION, log))
    assert problem.log_anchor == pytest.approx(core.ravel(), abs=1e-12)
    assert problem.champion == pytest.approx((0.9 * np.exp(core) + 0.1 / CANDIDATES).ravel())
    assert np.isnan(problem.rewards[::2, 0]).all()
    assert (problem.rewards[1::2] == log.rewards[1::2]).all()
    assert (problem.q == MATRIX).all(), "every feature here is the head of an objective"
    assert (problem.floor, problem.weight_clip) == (0.05, 50.0)
    assert problem.objectives == OBJECTIVES


def test_a_feature_that_is_no_objective_serves_none() -> None:
    columns = (*COLUMNS[:2], "score", "fresh")
    matrix = np.column_stack([MATRIX[:, :2], np.ones(len(MATRIX)), MATRIX[:, 2]])
    root = Prefers(-0.5)
    problem = tuning_problem(
        LOG, OBJECTIVES, columns, matrix, matrix, CHAMPION, root, floor=0.0, weight_clip=50.0
    )
    assert problem.serves == ("delight", "like", None, "fresh")
    assert (problem.q == MATRIX).all()
    assert problem.log_anchor == pytest.approx(np.log(chances(root, LOG)).ravel(), abs=1e-12)


def test_what_got_no_weight_is_left_out(result: TuningResult) -> None:
    """What stays is that policy of anchor, weights and floor that was chosen."""
    chosen = replace(result, kappa=0.7, theta=(0.5, 1e-9, 0.0))
    policy = challenger(CHAMPION, (MODEL,), (FRESH,), STANDARDISER, chosen, 0.05)
    assert policy.known == ()
    assert policy.scorers == (MODEL,)
    assert policy.theta.tolist() == [0.5, 0.0]
    features = STANDARDISER.apply(MATRIX)
    logit = 0.7 * np.log(chances(CHAMPION, LOG)).ravel() + 0.5 * features[:, 0]
    core = np.exp(segment_log_softmax(logit, LOG.decisions.offsets))
    expected = 0.95 * core + 0.05 / CANDIDATES
    found = np.exp(policy.log_probabilities(LOG.decisions))
    assert found == pytest.approx(expected, abs=1e-9)


def test_an_anchor_without_weight_is_left_out(result: TuningResult) -> None:
    chosen = replace(result, kappa=0.0, theta=(0.5, 0.2, 0.0))
    made = [
        challenger(anchor, (MODEL,), (FRESH,), STANDARDISER, chosen, 0.05)
        for anchor in (CHAMPION, nested(2, replace(result, kappa=0.7)))
    ]
    assert [policy.depth for policy in made] == [1, 1]
    found = [policy.log_probabilities(LOG.decisions) for policy in made]
    kept = replace(made[0], anchor=CHAMPION).log_probabilities(LOG.decisions)
    np.testing.assert_allclose(found, [kept, kept], rtol=0, atol=1e-12)
    # One scene that keeps of it keeps it for all.
    scenes = {"home": np.array([0.5, 0.1, 0.0, 0.0])}
    assert (
        challenger(CHAMPION, (MODEL,), (FRESH,), STANDARDISER, chosen, 0.05, scenes).anchor
        is CHAMPION
    )


def test_a_scorer_without_any_weight_is_not_asked(result: TuningResult) -> None:
    chosen = replace(result, theta=(0.0, 0.0, 0.4))
    policy = challenger(CHAMPION, (MODEL,), (FRESH,), STANDARDISER, chosen, 0.05)
    assert policy.scorers == ()
    assert policy.known == (FRESH,)
    assert policy.theta.tolist() == [0.4]
    assert policy.standardiser.columns == ("fresh",)
