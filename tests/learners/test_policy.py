from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Decisions
from mrlm.bandit_log.ragged import segment_sum
from mrlm.learners.policy import LearnedPolicy
from mrlm.policies.contract import Policy


@dataclass(frozen=True)
class Fixed:
    scores: NDArray[np.float64]
    columns: tuple[str, ...] = ("fixed",)
    kind: str = "fixed"

    def score(self, decisions: Decisions) -> NDArray[np.float64]:
        return self.scores[:, None]

    def save(self, folder: Path) -> None:
        raise NotImplementedError


@pytest.fixture
def scores(fit_log: BanditLog) -> NDArray[np.float64]:
    return np.random.default_rng(0).normal(size=len(fit_log.decisions.candidates.values)) * 50


def test_probabilities_sum_to_one_above_the_floor(
    fit_log: BanditLog, scores: NDArray[np.float64]
) -> None:
    policy = LearnedPolicy(Fixed(scores), temperature=0.5, floor=0.12)
    p = np.exp(policy.log_probabilities(fit_log.decisions))
    assert isinstance(policy, Policy)
    np.testing.assert_allclose(segment_sum(p, fit_log.decisions.offsets), 1.0)
    assert p.min() >= 0.12 / 6 - 1e-12


def test_a_constant_added_to_all_scores_changes_nothing(
    fit_log: BanditLog, scores: NDArray[np.float64]
) -> None:
    """The worked example of the source article adds a constant: no policy moves by that."""
    first = LearnedPolicy(Fixed(scores), 1.0, 0.1).log_probabilities(fit_log.decisions)
    second = LearnedPolicy(Fixed(scores + 1.0), 1.0, 0.1).log_probabilities(fit_log.decisions)
    np.testing.assert_allclose(first, second, atol=1e-9)


def test_a_lower_temperature_is_greedier(fit_log: BanditLog, scores: NDArray[np.float64]) -> None:
    best = scores.reshape(-1, 6).argmax(axis=1)
    shares = [
        np.exp(LearnedPolicy(Fixed(scores), t, 0.1).log_probabilities(fit_log.decisions))
        .reshape(-1, 6)[np.arange(len(best)), best]
        .mean()
        for t in (0.1, 10.0, 1000.0)
    ]
    assert shares[0] > shares[1] > shares[2]


@pytest.mark.parametrize(
    ("temperature", "floor"), [(0.0, 0.1), (-1.0, 0.1), (1.0, 0.0), (1.0, 1.0)]
)
def test_impossible_settings_are_refused(temperature: float, floor: float) -> None:
    with pytest.raises(ValueError, match="temperature"):
        LearnedPolicy(Fixed(np.zeros(1)), temperature, floor)


def test_one_score_is_needed() -> None:
    with pytest.raises(ValueError, match="one score"):
        LearnedPolicy(Fixed(np.zeros(1), columns=("a", "b")), 1.0, 0.1)
