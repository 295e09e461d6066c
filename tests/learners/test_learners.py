"""One contract for every learner."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.ragged import segment_sum
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.learners.contract import Learner
from mrlm.learners.inputs import learning_sample
from mrlm.learners.network import make_score_network
from mrlm.learners.policy import LearnedPolicy
from mrlm.learners.registry import LEARNERS
from mrlm.learners.scorer import LearnedScorer
from mrlm.learners.settings import LearnerName, LearningSettings
from mrlm.learners.storage import SCORER_LOADERS, load_learned
from mrlm.policies.contract import Policy, Scorer
from mrlm.policies.standardise import Standardiser
from mrlm.policies.storage import load_policy, save_policy
from mrlm.policies.tuned import Tuned
from mrlm.policies.uniform import Uniform

SETTINGS = LearningSettings(hidden=8, projection=4, batch_size=64, epochs=2)
WEIGHTS = {"like": 1.0}


@pytest.fixture(scope="session")
def learned(fit_log: BanditLog, model: RewardModel) -> dict[str, LearnedScorer]:
    sample = learning_sample(fit_log, model, WEIGHTS, SETTINGS, 7)
    return {n: k.learn(sample, SETTINGS, 7) for n, k in LEARNERS.items()}


@pytest.fixture(params=sorted(LEARNERS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def true_value(policy: Policy, log: BanditLog, truth: NDArray[np.float64]) -> float:
    p = np.exp(policy.log_probabilities(log.decisions))
    return float(p @ truth[:, 0] / len(log))


def test_settings_and_rooms_load_without_torch() -> None:
    rooms = "mrlm.learners.settings, mrlm.behaviour.settings, mrlm.embeddings.factory"
    code = f"import sys, {rooms}; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_settings_name_every_learner() -> None:
    assert sorted(LEARNERS) == sorted(LearnerName.__args__)


def test_it_keeps_the_contract(
    name: str, learned: Mapping[str, LearnedScorer], later: tuple[BanditLog, NDArray[np.float64]]
) -> None:
    scorer = learned[name]
    decisions = later[0].decisions
    scores = scorer.score(decisions)
    assert isinstance(LEARNERS[name], Learner)
    assert isinstance(scorer, Scorer)
    assert scorer.kind == name
    assert scorer.columns == (name,)
    assert scores.shape == (len(decisions.candidates.values), 1)
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(segment_sum(scores[:, 0], decisions.offsets), 0.0, atol=1e-9)
    assert scores.std() > 0.1


@pytest.mark.statistics
def test_its_policy_beats_the_logger_on_later_nights(
    name: str, learned: Mapping[str, LearnedScorer], later: tuple[BanditLog, NDArray[np.float64]]
) -> None:
    """Exact true values and fixed seeds: no error rate. The logger has .51, the best item .76."""
    log, truth = later
    policy = LearnedPolicy(learned[name], SETTINGS.temperature, SETTINGS.floor)
    logger = float(log.candidate_propensity @ truth[:, 0]) / len(log)
    assert true_value(policy, log, truth) > logger + 0.05
    assert true_value(Uniform(), log, truth) < true_value(policy, log, truth)


def test_the_seed_decides_the_weights_to_the_bit(
    name: str, fit_log: BanditLog, model: RewardModel
) -> None:
    settings = SETTINGS.model_copy(update={"max_decisions": 400})
    states = []
    for seed in (7, 7, 8):
        torch.rand(3)
        sample = learning_sample(fit_log, model, WEIGHTS, settings, 7)
        states.append(LEARNERS[name].learn(sample, settings, seed).network.state_dict())
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    assert not all(torch.equal(states[0][k], states[2][k]) for k in states[0])


def test_every_parameter_is_trained_and_what_is_served_has_no_dropout(
    name: str, learned: Mapping[str, LearnedScorer], fit_log: BanditLog, model: RewardModel
) -> None:
    sample = learning_sample(fit_log.take(np.arange(200)), model, WEIGHTS, SETTINGS, 7)
    first = make_score_network(sample.inputs.features, SETTINGS, 7, gain=1.0)
    before = {k: v.detach().clone() for k, v in first.named_parameters()}
    network = LEARNERS[name].learn(sample, SETTINGS, 7).network
    assert not any(torch.equal(v, before[k]) for k, v in network.named_parameters())
    assert not any(module.training for module in network.modules())
    assert not any(module.training for module in learned[name].network.modules())


def test_candidate_sets_may_have_any_size(
    name: str, fit_log: BanditLog, model: RewardModel
) -> None:
    """What is not offered is not scored, and a set of one candidate teaches and breaks nothing."""
    log = ragged(fit_log.take(np.arange(300)))
    assert set(np.diff(log.decisions.offsets).tolist()) == {1, 2, 3, 4, 5, 6}
    sample = learning_sample(log, model, WEIGHTS, SETTINGS, 7)
    scorer = LEARNERS[name].learn(sample, SETTINGS, 7)
    scores = scorer.score(log.decisions)[:, 0]
    assert np.isfinite(scores).all()
    alone = np.diff(log.decisions.offsets)[log.decisions.candidates.row] == 1
    np.testing.assert_array_equal(scores[alone], 0.0)
    policy = LearnedPolicy(scorer, SETTINGS.temperature, SETTINGS.floor)
    p = np.exp(policy.log_probabilities(log.decisions))
    np.testing.assert_allclose(segment_sum(p, log.decisions.offsets), 1.0)


def ragged(log: BanditLog) -> BanditLog:
    """Sets of one to six candidates: the shown one and those before it, up to some number."""
    rng = np.random.default_rng(0)
    offsets = log.decisions.offsets
    place = np.arange(offsets[-1]) - np.repeat(offsets[:-1], 6)
    kept = place <= np.repeat(np.maximum(log.action, rng.integers(0, 6, len(log))), 6)
    lengths = segment_sum(kept.astype(np.float64), offsets).astype(np.int64)
    candidates = replace(
        log.decisions.candidates,
        offsets=np.concatenate([[0], lengths.cumsum()]),
        values=log.decisions.candidates.values[kept],
    )
    total = np.repeat(segment_sum(log.candidate_propensity * kept, offsets), 6)
    propensity = (log.candidate_propensity / total)[kept]
    decisions = replace(log.decisions, candidates=candidates)
    out = replace(log, decisions=decisions, candidate_propensity=propensity)
    return replace(out, propensity=propensity[out.shown])


def test_what_is_loaded_scores_the_same_to_the_bit(
    name: str,
    learned: Mapping[str, LearnedScorer],
    later: tuple[BanditLog, NDArray[np.float64]],
    tmp_path: Path,
) -> None:
    learned[name].save(tmp_path)
    again = load_learned(tmp_path)
    decisions = later[0].decisions
    assert again.kind == name
    assert (again.score(decisions) == learned[name].score(decisions)).all()
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert {p.suffix for p in files} == {".json", ".safetensors"}


def test_a_tuned_policy_of_these_scorers_survives_storage(
    learned: Mapping[str, LearnedScorer],
    model: RewardModel,
    later: tuple[BanditLog, NDArray[np.float64]],
    tmp_path: Path,
) -> None:
    scorers: tuple[Scorer, ...] = (model, *learned.values())
    columns = tuple(c for s in scorers for c in s.columns)
    policy = Tuned(
        anchor=Uniform(),
        scorers=scorers,
        known=(),
        standardiser=Standardiser(columns, (0.0,) * len(columns), (1.0,) * len(columns)),
        kappa=1.0,
        theta=np.full(len(columns), 0.3),
        floor=0.1,
    )
    save_policy(policy, tmp_path / "policy")
    again = load_policy(tmp_path / "policy", SCORER_LOADERS)
    decisions = later[0].take(np.arange(200)).decisions
    assert (again.log_probabilities(decisions) == policy.log_probabilities(decisions)).all()


def test_an_unknown_kind_is_refused(learned: Mapping[str, LearnedScorer], tmp_path: Path) -> None:
    learned["q_learning"].save(tmp_path)
    data = json.loads((tmp_path / "scorer.json").read_text())
    (tmp_path / "scorer.json").write_text(json.dumps({**data, "kind": "oracle"}))
    with pytest.raises(ValueError, match="oracle"):
        load_learned(tmp_path)


@pytest.mark.parametrize("weights", [{}, {"like": 0.0}, {"clicks": 1.0}, {"like": float("nan")}])
def test_weights_that_mean_nothing_are_refused(
    fit_log: BanditLog, model: RewardModel, weights: dict[str, float]
) -> None:
    with pytest.raises(ValueError, match="weights"):
        learning_sample(fit_log, model, weights, SETTINGS, 0)


def test_an_empty_log_is_refused(fit_log: BanditLog, model: RewardModel) -> None:
    with pytest.raises(ValueError, match="no decisions"):
        learning_sample(fit_log.take(np.zeros(0, np.int64)), model, WEIGHTS, SETTINGS, 0)


def test_progress_counts_epochs_and_large_logs_are_sampled(
    name: str, fit_log: BanditLog, model: RewardModel
) -> None:
    seen: list[tuple[int, int]] = []
    losses: list[float] = []

    def told(done: int, epochs: int, loss: float) -> None:
        seen.append((done, epochs))
        losses.append(loss)

    settings = SETTINGS.model_copy(update={"epochs": 3, "max_decisions": 100})
    sample = learning_sample(fit_log, model, WEIGHTS, settings, 0)
    LEARNERS[name].learn(sample, settings, 0, told)
    assert len(sample.log) < len(fit_log)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert np.isfinite(losses).all()
    assert len(set(losses)) > 1, "what is told is the loss of each epoch"


def test_missing_rewards_and_propensities_of_candidates_are_no_obstacle(
    name: str, fit_log: BanditLog, model: RewardModel
) -> None:
    rewards = fit_log.rewards.copy()
    rewards[::3] = np.nan
    log = replace(
        fit_log,
        rewards=rewards,
        candidate_propensity=np.full_like(fit_log.candidate_propensity, np.nan),
    ).take(np.arange(600))
    sample = learning_sample(log, model, {"like": 0.5, "rating": 0.5}, SETTINGS, 0)
    scorer = LEARNERS[name].learn(sample, SETTINGS, 0)
    assert np.isfinite(scorer.score(log.decisions)).all()
