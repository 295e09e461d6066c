"""How many providers, categories or items share the shows of a tuned policy, at least."""

from __future__ import annotations

import numpy as np

from mrlm.messages.message import Message, Name
from mrlm.meta.problem.tuned_softmax import Slope, TunedSoftmax, Vector
from mrlm.meta.problem.tuning_problem import TuningProblem
from mrlm.metrics.effective_number import effective_number, entropy_gradient, group_shows


class DiversityFloor:
    """The effective number of groups that a policy shows over the rounds, at least a target.

    exp(entropy of the groups' shares of all shows): a functional of the whole policy, whose
    logarithm is concave in exposure. As with ``ExposureFloor`` the champion may have less.

    Args:
        problem: rounds of the tune nights, with these groups.
        policy: of the same problem.
        groups: what shows are counted by.
        least: the target.
    """

    def __init__(
        self, problem: TuningProblem, policy: TunedSoftmax, groups: str, least: float
    ) -> None:
        self._policy, self._groups = policy, problem.groups[groups]
        self._share = np.repeat(problem.weight / problem.weight.sum(), policy.lengths)
        self.groups, self.least = groups, least

    @property
    def name(self) -> str:
        """The floor in words."""
        return Message(
            "an effective number of {least:.4g} {groups}",
            least=self.least,
            groups=Name(self.groups),
        )

    def of_probabilities(self, probabilities: Vector) -> float:
        """The effective number of any policy of these rounds, probabilities of shape (N,)."""
        return effective_number(group_shows(self._share * probabilities, self._groups))

    def slack_of(self, probabilities: Vector) -> float:
        """Logarithm of the effective number over the target, of any policy of these rounds."""
        return float(np.log(self.of_probabilities(probabilities) / self.least))

    def slack(self, point: Vector) -> tuple[float, Slope]:
        """The same at a point, and its gradient."""
        shows = group_shows(self._share * self._policy.probabilities(point), self._groups)
        value, gradient = entropy_gradient(shows, self._groups)
        slack = value - float(np.log(self.least))
        return slack, lambda: self._policy.pull_back(point, self._share * gradient)
