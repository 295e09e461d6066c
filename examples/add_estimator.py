"""Add an off-policy estimator of your own, and hold it against the truth.

Run it with ``.venv/bin/python examples/add_estimator.py``. CONTRIBUTING.md says how an estimator
becomes a member of the family, with its tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mrlm import ESTIMATORS, EvaluationBatch, EvaluationState, Uniform, estimates, latent_log
from mrlm.ope import Estimator, Properties, Scores, one_ratio


# An estimator is a pure function from a batch of logged decisions to scores, with three names that
# say what it is. Inference reads the scores alone, so intervals, merging of shards, differences and
# the certificate work at once.
@dataclass(frozen=True)
class ImplicitExploration:
    """IPS with ``gamma`` added to every propensity: no weight is larger than 1 / gamma.

    Neu, Explore no more: improved high-probability regret bounds for non-stochastic bandits (2015).
    """

    gamma: float = 0.02
    name: ClassVar[str] = "implicit_exploration"
    needs_q: ClassVar[bool] = False
    # What holds for it, exactly. A member of the family declares each of these, and a test shows
    # each true or false. This one is biased, so it must not say that it covers the policy's value:
    # the certificate then refuses its interval, and the gate never takes it.
    properties: ClassVar[Properties] = Properties(
        unbiased=False,
        covers_policy_value=False,
        on_policy_identity=False,
        shift_equivariant=False,
        scale_equivariant=True,
        constant_reward_zero_width=False,
    )

    def __call__(self, batch: EvaluationBatch) -> Scores:
        """Scores of every round and objective."""
        weight = batch.weight * batch.propensity / (batch.propensity + self.gamma)
        numerator = weight[:, None] * batch.rewards
        # The estimate is a ratio of sums; a plain mean has the denominator 1 in every round.
        covers = self.properties.covers_policy_value
        return one_ratio(self.name, covers, batch, numerator, np.ones_like(numerator))


def main() -> None:
    """Estimate the uniform policy's value with three estimators, beside the truth."""
    # A made world, in which the expected reward of every candidate is known.
    log, truth = latent_log(n_users=300, decisions_per_user=10, n_candidates=8, seed=2)
    target = np.exp(Uniform().log_probabilities(log.decisions))
    batch = EvaluationBatch.from_log(log, target, policy="uniform")

    own = ImplicitExploration()
    assert isinstance(own, Estimator)
    for estimator in (ESTIMATORS["ips"], ESTIMATORS["snips"], own):
        like = estimates(EvaluationState.of(estimator(batch)))["like"]
        print(
            f"{estimator.name:<20} {like.value:.3f} [{like.lower:.3f}, {like.upper:.3f}]",
            "certified" if like.certified else like.certificate.reason,
        )
    print(f"{'the truth':<20} {target @ truth[:, 0] / len(log):.3f}")


if __name__ == "__main__":
    main()
