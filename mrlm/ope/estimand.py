"""Estimands: what an estimate is a value of, and the two that are made from round scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mrlm.bandit_log.users import group
from mrlm.ope.scores import Scores

PER_DECISION = "per decision"
PER_SLATE = "per slate"
PER_SESSION = "per session"
PER_USER = "per user"
RATIO_OF_SUMS = "ratio of sums"


def per_user(scores: Scores) -> Scores:
    """Scores of the value of a mean user: every user counts the same, however often they come.

    Each round counts one over its user's rounds with a known reward, so the estimate is the mean
    over users of their own mean value. Where rewards depend on how often a user comes, this is
    another number than the value per decision. States of such scores add up over batches of whole
    users only. Certification weighs the rounds in the same way.

    Args:
        scores: per decision, slate or session, of one policy or a difference.

    Raises:
        ValueError: the scores are per user already, or a ratio of sums.
    """
    if scores.estimand in (PER_USER, RATIO_OF_SUMS):
        raise ValueError(f"scores that are {scores.estimand} have no value per user")
    users, code = group(scores.cluster)
    share = np.zeros(scores.used.shape)
    for j in range(len(scores.objectives)):
        known = scores.used[:, j]
        rounds = np.bincount(code[known], minlength=len(users))
        share[known, j] = 1 / rounds[code[known]]
    return replace(
        scores,
        estimand=PER_USER,
        numerator=scores.numerator * share[:, :, None],
        denominator=scores.denominator * share[:, :, None],
        share=scores.shares * share[:, :, None],
    )


def ratio_of_sums(scores: Scores, above: str, below: str) -> Scores:
    """Scores of the value of one objective over that of another: revenue a click, clicks a view.

    ``sum of numerators / sum of numerators`` over the rounds that know both: a ratio of two
    estimates is one ratio of sums, and its interval the delta method's (Cochran, Sampling
    Techniques, 3rd ed., section 6.5).

    Args:
        scores: one ratio (IPS, SNIPS, DR, ...) of one policy.
        above: objective of the numerator.
        below: objective of the denominator, whose value is not 0.

    Raises:
        ValueError: an objective is not in the scores, or the scores are no single ratio.
    """
    for name in (above, below):
        if name not in scores.objectives:
            raise ValueError(f"no objective {name!r}; there are {list(scores.objectives)}")
    if len(scores.signs) != 1 or len(scores.policies) != 1:
        raise ValueError(
            f"{scores.estimator} for {' - '.join(scores.policies)} is no single ratio: give the "
            "scores of one policy and of ips, snips or dr"
        )
    i, j = scores.objectives.index(above), scores.objectives.index(below)
    both = scores.used[:, [i]] & scores.used[:, [j]]
    return replace(
        scores,
        estimand=RATIO_OF_SUMS,
        objectives=(f"{above} / {below}",),
        numerator=scores.numerator[:, [i]] * both[:, :, None],
        denominator=scores.numerator[:, [j]] * both[:, :, None],
        used=both,
        nonzero=scores.nonzero[:, [i]] & both,
        share=None if scores.share is None else scores.share[:, [i]],
    )
