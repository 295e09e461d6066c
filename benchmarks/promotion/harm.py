"""A gain in the mean that harms a group or a guardrail: refused and named, its twin promoted.

Rows of users with an effect of their own, in scenes, positions and histories. The challenger gains
everywhere; in the harmed world one group, or a guardrail, truly loses four standard errors of its
own difference, as they are estimated in that world: those of the interval that is judged. Its twin
gains there as elsewhere. Both are judged through ``estimates`` and ``judge`` on their first night.

A group is one of ten that share ``gate.group_error``, so it is tested at .02, where four standard
errors are seen with .974 if the statistic is normal. 1,600 worlds of each harm (a share near .95 is
known to .005); quick: 60.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.promotion._rules import BLANK, GUARDRAIL, MARGIN, RULE
from benchmarks.promotion._worlds import REWARD, Floats
from benchmarks.rows import Row
from mrlm.bandit_log.segment_labels import HISTORY_BANDS, segment_in_words
from mrlm.evidence.evidence import Evidence
from mrlm.evidence.groups import GroupDifference
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.ope import EvaluationState, estimates
from mrlm.ope.scores import Scores
from mrlm.promotion.judgement.gate import judge
from mrlm.promotion.judgement.verdict import Verdict

WORLDS, QUICK_WORLDS = 1600, 60
USERS, ROWS = 500, 12_000
SHARES = {"scene": (0.4, 0.3, 0.2, 0.1), "position": (0.5, 0.3, 0.2), "history": (0.2, 0.3, 0.5)}
GAIN, HARM = 16.0, 4.0
REFUSED, PROMOTED = 0.95, 0.8
# The group of each kind that is harmed: neither the largest nor the smallest.
_HARMED = 1
_OF = {**dict.fromkeys(SHARES, REWARD), "guardrail": GUARDRAIL, "guardrail of a scene": GUARDRAIL}


class World:
    """Rows of one night: their groups, and each row's difference without any gain or harm."""

    def __init__(self, seed: int) -> None:
        g = np.random.default_rng([seed, 7])
        self.user = g.integers(0, USERS, ROWS)
        known = g.choice(3, USERS, p=SHARES["history"])
        self.group = {
            "scene": g.choice(4, ROWS, p=SHARES["scene"]),
            "position": g.choice(3, ROWS, p=SHARES["position"]),
            "history": known[self.user],
        }
        # Heavy on one side, as weighted rewards are, and of mean 0.
        effect, noise = g.normal(0, 0.3, (2, USERS)), g.lognormal(0, 1, (2, ROWS)) - np.exp(0.5)
        self.own = {o: effect[i][self.user] + noise[i] for i, o in enumerate((REWARD, GUARDRAIL))}

    def judged(self, harm: str, harmed: bool) -> Verdict:
        """The gate's verdict where the harm is done, or on its twin."""
        scores = dict(self.own)
        everywhere = np.ones(ROWS, bool)
        error = estimate_of(self.user, scores[REWARD], everywhere, RULE.level).standard_error or 0.0
        scores[REWARD] = scores[REWARD] + GAIN * error
        objective, where = _OF[harm], self.where(harm)
        if harmed:
            accepted = -MARGIN if objective == GUARDRAIL else GAIN * error
            own = estimate_of(self.user, scores[objective], where, RULE.level).standard_error or 0.0
            lost = HARM * own + accepted if objective == REWARD else HARM * own - accepted
            scores[objective] = scores[objective] - lost * where
        return judge(self._evidence(scores), RULE)

    def where(self, harm: str) -> NDArray[np.bool_]:
        """The rows that are harmed."""
        if harm == "guardrail":
            return np.ones(ROWS, bool)
        kind = "scene" if harm == "guardrail of a scene" else harm
        return self.group[kind] == _HARMED

    def _evidence(self, scores: Mapping[str, Floats]) -> Evidence:
        everywhere = np.ones(ROWS, bool)
        whole = {o: estimate_of(self.user, s, everywhere, RULE.level) for o, s in scores.items()}
        groups = tuple(
            GroupDifference(
                kind,
                _called(kind, name),
                int((label == name).sum()),
                len(set(self.user[label == name])),
                {
                    o: estimate_of(self.user, s, label == name, RULE.level)
                    for o, s in scores.items()
                },
            )
            for kind, label in self.group.items()
            for name in range(len(SHARES[kind]))
        )
        own: dict[str, dict[str, PolicyEstimate]] = {RULE.estimator: {REWARD: whole[REWARD]}}
        return replace(
            BLANK,
            policies={"challenger": own, "champion": own},
            differences={RULE.estimator: whole},
            guardrails={GUARDRAIL: MARGIN},
            groups=groups,
        )


def run(quick: bool) -> list[Row]:
    """Of each harm, the share that is refused and named, and the share of twins promoted."""
    worlds = [World(seed) for seed in range(QUICK_WORLDS if quick else WORLDS)]
    return [row for harm in _OF for row in _rows(harm, worlds)]


def _called(kind: str, name: int) -> str:
    """A group as evidence names it."""
    return str(HISTORY_BANDS[name] if kind == "history" else name)


def named(verdict: Verdict, harm: str) -> bool:
    """Whether a refusal says what is harmed."""
    place = {
        "scene": f"of scene {_HARMED} ",
        "position": f"of position {_HARMED} ",
        "history": f"of {segment_in_words(_called('history', _HARMED))}",
        "guardrail": GUARDRAIL,
        "guardrail of a scene": f"{GUARDRAIL} of scene {_HARMED} ",
    }
    return not verdict.promote and place[harm] in verdict.reason


def _rows(harm: str, worlds: list[World]) -> list[Row]:
    refused = float(np.mean([named(w.judged(harm, True), harm) for w in worlds]))
    promoted = float(np.mean([w.judged(harm, False).promote for w in worlds]))
    note = f"{len(worlds)} worlds, harm of {HARM:g} standard errors of its own difference"
    return [
        Row(
            f"harm to a {harm}: refused, and named",
            refused,
            bar=f">= {REFUSED}",
            holds=refused >= REFUSED,
            note=note,
        ),
        Row(
            f"harm to a {harm}: unharmed twins promoted",
            promoted,
            bar=f">= {PROMOTED}",
            holds=promoted >= PROMOTED,
            note=f"a true gain of {GAIN:g} standard errors",
        ),
    ]


def estimate_of(
    user: NDArray[np.int64], score: Floats, among: NDArray[np.bool_], level: float
) -> PolicyEstimate:
    """The estimate of a difference on some rows, as the gate is given it.

    Args:
        user: of each row, shape (n,).
        score: challenger - champion of each row, shape (n,).
        among: bool, shape (n,), the rows.
        level: two-sided.
    """
    n = int(among.sum())
    flat, yes = np.ones((n, 1)), np.ones((n, 1), bool)
    scores = Scores(
        estimator="dr",
        covers_policy_value=True,
        objectives=(REWARD,),
        policies=("challenger - champion",),
        cluster=user[among],
        numerator=score[among][:, None, None],
        denominator=flat[:, :, None],
        signs=np.ones(1),
        used=yes,
        nonzero=yes,
        weight=flat,
        unsupported=np.zeros((n, 1)),
        expected_square=flat,
    )
    found = estimates(EvaluationState.of(scores), level, RULE.thresholds())[REWARD]
    return PolicyEstimate.of(found)
