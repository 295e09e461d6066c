"""The paired difference of two policies on the same rounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mrlm.ope.scores import Scores


def difference(first: Scores, second: Scores) -> Scores:
    """Scores of the value of the first policy minus that of the second, round by round.

    What both share (users, rewards, the logger's luck) cancels, so the interval is narrower than
    those of the two values; Jeunen and Ustimenko, delta-OPE (2024).

    Raises:
        ValueError: the scores are not of the same rounds and objectives.

    Examples:
        >>> import numpy as np
        >>> from mrlm import ESTIMATORS, EvaluationBatch, EvaluationState, Uniform
        >>> from mrlm import difference, estimates, latent_log
        >>> log, _ = latent_log(n_users=200, decisions_per_user=10, n_candidates=8, seed=1)
        >>> uniform = np.exp(Uniform().log_probabilities(log.decisions))
        >>> snips = ESTIMATORS["snips"]
        >>> both = difference(
        ...     snips(EvaluationBatch.from_log(log, uniform, policy="uniform")),
        ...     snips(EvaluationBatch.from_log(log, log.candidate_propensity, policy="logger")),
        ... )
        >>> found = estimates(EvaluationState.of(both))["like"]
        >>> found.policy, found.certified
        ('uniform - logger', True)
        >>> f"{found.value:+.3f} [{found.lower:+.3f}, {found.upper:+.3f}]"
        '-0.037 [-0.051, -0.022]'
    """
    if first.objectives != second.objectives:
        raise ValueError(
            f"a paired difference needs the same objectives; got {list(first.objectives)} and "
            f"{list(second.objectives)}"
        )
    if first.estimand != second.estimand:
        raise ValueError(
            f"a paired difference needs one estimand; got {first.estimand!r} and "
            f"{second.estimand!r}"
        )
    same = len(first) == len(second) and np.array_equal(first.cluster, second.cluster)
    if not same or not np.array_equal(first.used, second.used):
        raise ValueError("a paired difference needs both policies' scores on the same rounds")
    name = first.estimator
    if second.estimator != name:
        name = f"{first.estimator} - {second.estimator}"
    share = None
    if first.share is not None or second.share is not None:
        share = np.concatenate([first.shares, second.shares], axis=2)
    return replace(
        first,
        estimator=name,
        covers_policy_value=first.covers_policy_value and second.covers_policy_value,
        policies=first.policies + second.policies,
        numerator=np.concatenate([first.numerator, second.numerator], axis=2),
        denominator=np.concatenate([first.denominator, second.denominator], axis=2),
        signs=np.concatenate([first.signs, -second.signs]),
        nonzero=first.nonzero,
        weight=np.concatenate([first.weight, second.weight], axis=1),
        unsupported=np.concatenate([first.unsupported, second.unsupported], axis=1),
        expected_square=np.concatenate([first.expected_square, second.expected_square], axis=1),
        share=share,
        fitted=first.fitted or second.fitted,
    )
