"""The choice of what to serve: whose rewards it reads, what it takes, and how often it is wrong."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.ragged import gather, segment_sum
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.learners.choice import (
    Choice,
    ExpectedReward,
    LearnedScore,
    choose,
    choose_on,
    cross_fitted_scores,
)
from mrlm.learners.inputs import (
    LearningSample,
    expected_rewards,
    learning_sample,
    part_of,
    reweighted,
)
from mrlm.learners.registry import LEARNERS
from mrlm.learners.settings import LearningSettings
from mrlm.policies.greedy import greedy_with_floor
from mrlm.worlds.latent import latent_log

# Target networks are renewed so often that a few updates learn from what they have learned.
SETTINGS = LearningSettings(hidden=8, projection=4, batch_size=64, epochs=1, target_every=2)
Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@pytest.fixture(scope="module")
def sample(fit_log: BanditLog, model: RewardModel) -> LearningSample:
    return learning_sample(fit_log, model, {"like": 1.0}, SETTINGS, 7)


@pytest.fixture(scope="module")
def small(sample: LearningSample) -> LearningSample:
    """Few decisions, for what trains every learner several times."""
    return part_of(sample, np.arange(900))


@dataclass(frozen=True)
class Known:
    """Scores that were there before, and what it was asked for."""

    name: str
    scores: Floats
    asked: list[tuple[Rows, Rows]] = field(default_factory=list)

    def held_back_scores(self, sample: LearningSample, fitted: Rows, held: Rows) -> Floats:
        self.asked.append((fitted, held))
        return self.scores[gather(sample.log.decisions.offsets, held)[0]]


def truth_of(
    sample: LearningSample, world: tuple[BanditLog, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """True like of the sample's candidates: it is the world's first nights, which come first."""
    return world[1][: len(sample.log.decisions.candidates.values), 0]


def test_what_is_truly_better_is_chosen_and_proven(
    sample: LearningSample, world: tuple[BanditLog, NDArray[np.float64]]
) -> None:
    truth = truth_of(sample, world)
    found = choose(sample, [Known("worst", -truth), Known("best", truth)], floor=0.1)
    assert found.chosen == "best"
    assert found.improves
    value = segment_sum(
        greedy_with_floor(truth, sample.log.decisions.offsets, 0.1) * truth,
        sample.log.decisions.offsets,
    )
    best = found.values["best"]
    assert abs(best.value - value.mean()) < 4 * best.standard_error
    assert not choose(sample, [Known("worst", -truth)], floor=0.1).improves


def test_nobody_is_judged_by_what_was_fitted_to_them(sample: LearningSample) -> None:
    contender = Known("any", np.zeros(len(sample.log.decisions.candidates.values)))
    choose(sample, [contender], floor=0.1)
    user = sample.log.decisions.user
    for fitted, held in contender.asked:
        assert not set(user[fitted]) & set(user[held])
        np.testing.assert_array_equal(np.sort(np.concatenate([fitted, held])), np.arange(len(user)))
    held = np.concatenate([h for _, h in contender.asked])
    np.testing.assert_array_equal(np.sort(held), np.arange(len(user)))
    assert len(contender.asked) == len(sample.reward_model.members)


def test_rewards_of_held_back_users_change_no_score_of_theirs(small: LearningSample) -> None:
    sample, log = small, small.log
    fold = (np.unique(log.decisions.user, return_inverse=True)[1] % 2).astype(np.int64)
    contenders = [
        LearnedScore(n, learner, {"like": 1.0}, SETTINGS, 3) for n, learner in LEARNERS.items()
    ]
    before = cross_fitted_scores(sample, contenders, fold)
    rewards = np.where((fold == 0)[:, None], log.rewards[::-1], log.rewards)
    residual = np.where(fold == 0, sample.inputs.residual[::-1], sample.inputs.residual)
    other = replace(
        sample,
        log=replace(log, rewards=rewards),
        inputs=replace(sample.inputs, residual=residual),
    )
    after = cross_fitted_scores(other, contenders, fold)
    candidate = np.repeat(fold, np.diff(log.decisions.offsets))
    for name in LEARNERS:
        np.testing.assert_array_equal(before[name][candidate == 0], after[name][candidate == 0])
        assert (before[name][candidate == 1] != after[name][candidate == 1]).any()


def test_the_value_is_the_doubly_robust_one(sample: LearningSample) -> None:
    log, q = sample.log, expected_rewards(sample)[:, 0]
    offsets = log.decisions.offsets
    found = choose_on(log, {"heads": q}, q, floor=0.2)
    policy = greedy_with_floor(q, offsets, 0.2)
    weight = policy[log.shown] / log.propensity
    score = segment_sum(policy * q, offsets) + weight * (log.rewards[:, 0] - q[log.shown])
    logger = segment_sum(log.candidate_propensity * q, offsets)
    logger += log.rewards[:, 0] - q[log.shown]
    assert found.values["heads"].value == pytest.approx(score.mean(), rel=1e-9)
    assert found.lift.value == pytest.approx((score - logger).mean(), rel=1e-9)


def test_without_the_candidates_propensities_the_lift_is_over_what_was_shown(
    sample: LearningSample,
) -> None:
    log, q = sample.log, expected_rewards(sample)[:, 0]
    bare = replace(log, candidate_propensity=np.full_like(log.candidate_propensity, np.nan))
    found = choose_on(bare, {"heads": q}, q, floor=0.2)
    assert found.lift.value == pytest.approx(
        found.values["heads"].value - log.rewards[:, 0].mean(), rel=1e-9
    )


def test_all_contenders_share_the_error(sample: LearningSample) -> None:
    q = expected_rewards(sample)[:, 0]
    alone = choose_on(sample.log, {"a": q}, q, 0.1)
    many = choose_on(sample.log, {"a": q, "b": q, "c": -q}, q, 0.1)
    assert (alone.chosen, many.chosen) == ("a", "a")
    assert many.lift.value == alone.lift.value
    assert many.lift.lower < alone.lift.lower


def test_the_first_that_is_not_proven_worse_than_the_best_is_taken(sample: LearningSample) -> None:
    """By the paired difference of users' sums, computed anew, at .05 over three others."""
    log, q = sample.log, expected_rewards(sample)[:, 0]
    offsets, rng = log.decisions.offsets, np.random.default_rng(1)
    scores = {f"{noise:g}": q + noise * rng.normal(size=len(q)) for noise in (0.5, 0.2, 0.1, 0.03)}
    found = choose_on(log, scores, q, 0.1)
    users = np.unique(log.decisions.user, return_inverse=True)[1]

    def rounds(name: str) -> Floats:
        policy = greedy_with_floor(scores[name], offsets, 0.1)
        weight = policy[log.shown] / log.propensity
        return segment_sum(policy * q, offsets) + weight * (log.rewards[:, 0] - q[log.shown])

    def is_as_good(name: str) -> bool:
        less = rounds(found.best) - rounds(name)
        total = np.bincount(users, less - less.mean())
        error = np.sqrt(total @ total * len(total) / (len(total) - 1)) / len(less)
        return bool(less.mean() <= 2.128045 * error)

    assert found.best == max(scores, key=lambda name: rounds(name).mean())
    assert found.chosen == next(name for name in scores if is_as_good(name))
    assert not is_as_good("0.5")


@pytest.mark.statistics
def test_equals_are_seldom_called_better() -> None:
    """Candidates that are all alike: on each of 300 logs the logger is left with at most .05, and
    so is the first contender; more than 29 of 300 come with chance 3e-4."""
    wrong, left = 0, 0
    for seed in range(300):
        log, _ = latent_log(60, 6, 4, seed=seed, nights=6)
        rng = np.random.default_rng(seed)
        rewards = (rng.random(log.rewards.shape) < 0.3).astype(np.float64)
        scores = {k: rng.random(len(log.candidate_propensity)) for k in "abc"}
        found = choose_on(
            replace(log, rewards=rewards), scores, np.full(len(scores["a"]), 0.3), 0.1
        )
        wrong += found.lift.lower > 0
        left += found.chosen != "a"
    assert 0 < wrong <= 29
    assert 0 < left <= 29


def test_what_cannot_be_chosen_from_is_refused(sample: LearningSample) -> None:
    q = expected_rewards(sample)[:, 0]
    with pytest.raises(ValueError, match="nothing to choose from"):
        choose(sample, [], floor=0.1)
    with pytest.raises(ValueError, match="share a name"):
        choose(sample, [Known("a", q), Known("a", q)], floor=0.1)
    unknown = replace(sample.log, final=np.zeros_like(sample.log.final))
    with pytest.raises(ValueError, match="no decision has a final 'like'"):
        choose_on(unknown, {"a": q}, q, 0.1)


def test_heads_and_learners_are_chosen_from_alike_and_the_same_again(
    small: LearningSample,
) -> None:
    contenders = [
        ExpectedReward("heads", {"like": 1.0}),
        *(
            LearnedScore(n, learner, {"like": 0.5, "rating": 0.5}, SETTINGS, 3)
            for n, learner in LEARNERS.items()
        ),
    ]
    found, again = (choose(small, contenders, floor=0.1) for _ in range(2))
    assert isinstance(found, Choice)
    assert set(found.values) == {"heads", *LEARNERS}
    assert found.values == again.values


def test_a_sample_at_other_weights_is_that_of_these_weights(
    sample: LearningSample, fit_log: BanditLog, model: RewardModel
) -> None:
    weights = {"like": 0.3, "rating": -0.7}
    other, made = reweighted(sample, weights), learning_sample(fit_log, model, weights, SETTINGS, 7)
    np.testing.assert_array_equal(other.scalarisation.weight, made.scalarisation.weight)
    np.testing.assert_allclose(other.inputs.value, made.inputs.value, atol=1e-5)
    np.testing.assert_allclose(other.inputs.residual, made.inputs.residual, atol=1e-5)
    np.testing.assert_allclose(other.inputs.features.dense, made.inputs.features.dense, atol=1e-5)
    assert reweighted(sample, {"like": 1.0}).inputs.value == pytest.approx(
        sample.inputs.value, abs=1e-5
    )


def test_a_part_of_a_sample_keeps_what_belongs_together(sample: LearningSample) -> None:
    index = np.arange(5, len(sample.log), 7)
    part = part_of(sample, index)
    flat, _ = gather(sample.log.decisions.offsets, index)
    np.testing.assert_array_equal(part.log.decision_id, sample.log.decision_id[index])
    np.testing.assert_array_equal(part.inputs.value, sample.inputs.value[flat])
    np.testing.assert_array_equal(part.inputs.residual, sample.inputs.residual[index])
    np.testing.assert_array_equal(part.inputs.features.item, part.log.decisions.candidates.values)


def test_what_prefers_nothing_is_taken_only_where_the_others_are_proven_worse(
    sample: LearningSample, world: tuple[BanditLog, NDArray[np.float64]]
) -> None:
    truth = truth_of(sample, world)
    flat, almost = np.full(len(truth), 0.02), np.full(len(truth), 0.02)
    # One candidate of one decision: as good as nothing, but a preference.
    almost[0] = 0.03
    expected = expected_rewards(sample)[:, sample.log.column("like")]
    found = choose_on(sample.log, {"flat": flat, "almost": almost}, expected, floor=0.1)
    assert found.chosen == "almost"
    found = choose_on(sample.log, {"flat": flat, "worst": -truth}, expected, floor=0.1)
    assert found.chosen == "flat"
    assert choose_on(sample.log, {"a": flat, "b": flat}, expected, floor=0.1).chosen == "a"
