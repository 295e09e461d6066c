"""Three decisions to differentiate at, and a bandit whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.behaviour.features.pair_features import PairFeatures
from mrlm.learners.bandit.bandit_learner import BanditLearner
from mrlm.learners.bandit.batch_policy import BatchPolicy
from mrlm.learners.bandit.gradient_learner import Terms, objective
from mrlm.learners.bandit.logged_feedback import FeedbackBatch, LoggedFeedback
from mrlm.learners.inputs import LearningInputs
from mrlm.learners.network import CandidateSets, ScoreNetwork, make_score_network
from mrlm.learners.settings import LearningSettings

Floats = NDArray[np.float64]
LENGTHS = (4, 2, 3)


def three_decisions(seed: int = 0) -> tuple[torch.Tensor, FeedbackBatch]:
    """Scores with a gradient, and what was logged, in double precision; nonsense on pads."""
    rng = np.random.default_rng(seed)
    lengths = np.array(LENGTHS)
    mask = np.arange(4) < lengths[:, None]
    scores = np.where(mask, rng.normal(size=(3, 4)), -np.inf)
    logger = np.where(mask, rng.random((3, 4)) + 0.2, 0.0)
    logger /= logger.sum(axis=1, keepdims=True)
    action = np.array([1, 0, 2])
    value = np.where(mask, rng.normal(size=(3, 4)), 99.0)
    residual = rng.normal(size=3)
    return torch.tensor(scores, requires_grad=True), FeedbackBatch(
        rows=torch.arange(3),
        mask=torch.tensor(mask),
        value=torch.tensor(value),
        logger=torch.tensor(np.where(mask, np.log(np.where(mask, logger, 1.0)), 77.0)),
        action=torch.tensor(action),
        propensity=torch.tensor(logger[np.arange(3), action]),
        reward=torch.tensor(value[np.arange(3), action] + residual),
        residual=torch.tensor(residual),
    )


def assert_gradient_is_exact(
    scores: torch.Tensor, batch: FeedbackBatch, terms: Terms, settings: LearningSettings
) -> torch.Tensor:
    """Against differences; it sums to 0 over actions and is 0 on pads. Gives the gradient."""
    objective(BatchPolicy.of(scores, batch, settings), terms, settings).backward()
    gradient = scores.grad
    assert gradient is not None
    assert torch.isfinite(gradient).all()
    torch.testing.assert_close(gradient.sum(1), torch.zeros(3, dtype=torch.float64))
    assert (gradient[~batch.mask] == 0).all()
    for i, j in np.argwhere(batch.mask.numpy()).tolist():
        values = []
        for step in (1e-5, -1e-5):
            moved = scores.detach().clone()
            moved[i, j] += step
            policy = BatchPolicy.of(moved, batch, settings)
            values.append(float(objective(policy, terms, settings)))
        assert abs(float(gradient[i, j]) - (values[0] - values[1]) / 2e-5) < 1e-7
    return gradient


def policies(scores: torch.Tensor, settings: LearningSettings) -> list[Floats]:
    """Probabilities of the three decisions, computed one by one."""
    out = []
    for i, k in enumerate(LENGTHS):
        s = scores.detach().numpy()[i, :k] / settings.temperature
        core = np.exp(s) / np.exp(s).sum()
        out.append((1 - settings.floor) * core + settings.floor / k)
    return out


@dataclass(frozen=True)
class KnownBandit:
    """n decisions of k candidates each.

    Attributes:
        features: of every candidate.
        truth: expected reward, shape (n, k).
        propensity: of the logger, shape (n, k).
        action: shape (n,).
        reward: shape (n,).
        q: expected rewards that the learner is told, shape (n, k).
    """

    features: PairFeatures
    truth: Floats
    propensity: Floats
    action: NDArray[np.int64]
    reward: Floats
    q: Floats

    def log(self, like: BanditLog) -> BanditLog:
        """A log with these actions and propensities; all else as in ``like``."""
        n, k = self.truth.shape
        log = like.take(np.arange(n) % len(like))
        candidates = replace(
            log.decisions.candidates,
            offsets=np.arange(n + 1) * k,
            values=np.zeros(n * k, np.int32),
        )
        return replace(
            log,
            action=self.action,
            propensity=self.propensity[np.arange(n), self.action],
            candidate_propensity=self.propensity.ravel(),
            decisions=replace(log.decisions, candidates=candidates),
        )

    def feedback(self, like: BanditLog) -> LoggedFeedback:
        """The same as learners read it."""
        shown = self.q[np.arange(len(self.q)), self.action]
        inputs = LearningInputs(self.features, self.q.ravel(), self.reward - shown)
        return LoggedFeedback(self.log(like), inputs)

    def probabilities(self, network: ScoreNetwork, settings: LearningSettings) -> Floats:
        """Of the policy that is learned, shape (n, k)."""
        n, k = self.truth.shape
        sets = CandidateSets(self.features, np.arange(n + 1) * k)
        network.eval()
        with torch.no_grad():
            scores = sets.scores(network, *sets.places(torch.arange(n)))
        core = torch.softmax(scores / settings.temperature, 1).numpy()
        return (1 - settings.floor) * core + settings.floor / k

    def value(self, probabilities: Floats) -> float:
        """True value of a policy."""
        return float((probabilities * self.truth).sum(axis=1).mean())


def known_bandit(
    truth: Floats,
    propensity: Floats,
    seed: int,
    *,
    state: Floats | None = None,
    shift: float = 0.0,
) -> KnownBandit:
    """Binary rewards plus ``shift``; nothing is known of expected rewards.

    Args:
        truth: chance of a reward, shape (n, k).
        propensity: of the logger, shape (n, k).
        seed: of actions and rewards.
        state: what is seen of each decision, shape (n, d).
        shift: added to every reward.
    """
    n, k = truth.shape
    rng = np.random.default_rng(seed)
    action = (propensity.cumsum(1) < rng.random((n, 1))).sum(1).clip(max=k - 1)
    state = np.zeros((n, 1)) if state is None else state
    dense = np.column_stack([np.repeat(state, k, axis=0), np.zeros(n * k)])
    features = PairFeatures(
        dense=dense.astype(np.float32),
        item=np.tile(np.arange(k), n),
        row=np.repeat(np.arange(n), k),
        item_vectors=np.eye(k, dtype=np.float32),
        user_vectors=np.ones((n, k), np.float32),
    )
    reward = (rng.random(n) < truth[np.arange(n), action]) + shift
    return KnownBandit(features, truth, propensity, action, reward, np.zeros((n, k)))


def learned_policy(
    learner: BanditLearner,
    bandit: KnownBandit,
    like: BanditLog,
    settings: LearningSettings,
    seed: int = 0,
) -> Floats:
    """Probabilities that a learner gives the decisions which it learned from, shape (n, k)."""
    network = make_score_network(bandit.features, settings, seed, gain=1.0)
    learner.train(network, bandit.feedback(like), settings, seed)
    return bandit.probabilities(network, settings)


def numbers(batch: FeedbackBatch) -> Mapping[str, Floats]:
    """The batch's tensors as arrays."""
    return {name: tensor.numpy() for name, tensor in vars(batch).items()}


def one_decision(
    logger: Floats, value: Floats, truth: Floats
) -> Iterator[tuple[float, FeedbackBatch]]:
    """All that the logger may show at one decision of k candidates: its chance, and what is seen.

    Rewards are without noise.
    """
    for a, p in enumerate(logger):
        yield (
            float(p),
            FeedbackBatch(
                rows=torch.tensor([0]),
                mask=torch.ones((1, len(logger)), dtype=torch.bool),
                value=torch.tensor(value)[None],
                logger=torch.tensor(np.log(logger))[None],
                action=torch.tensor([a]),
                propensity=torch.tensor([p]),
                reward=torch.tensor([truth[a]]),
                residual=torch.tensor([truth[a] - value[a]]),
            ),
        )


def expected_gradient(terms: Terms, settings: LearningSettings, seed: int) -> tuple[Floats, ...]:
    """Of one decision of four candidates, averaged over what the logger may show, exactly.

    Returns:
        Expected gradient of the terms by the scores, scores, and the candidates' true rewards.
    """
    rng = np.random.default_rng(seed)
    scores = torch.tensor(rng.normal(size=(1, 4)), requires_grad=True)
    logger, value, truth = rng.dirichlet(np.ones(4)), rng.normal(size=4), rng.normal(size=4)
    total = torch.zeros(())
    for p, batch in one_decision(logger, value, truth):
        total = total + p * terms(BatchPolicy.of(scores, batch, settings))[0]
    total.backward()
    assert scores.grad is not None
    return scores.grad.numpy()[0], scores.detach().numpy()[0], truth


def gradient_of(function: Callable[[torch.Tensor], torch.Tensor], scores: Floats) -> Floats:
    """Of a scalar function of the policy's probabilities, by the scores; softmax, no floor."""
    at = torch.tensor(scores, requires_grad=True)
    function(torch.softmax(at, 0)).backward()
    assert at.grad is not None
    return at.grad.numpy()
