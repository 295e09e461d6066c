from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mrlm.bandit_log import Objective
from mrlm.meta.problem.tuning_problem import TuningProblem
from mrlm.policies.standardise import Standardiser

STAR = Objective("delight", "feedback", role="north_star", event="delight")


def _softmax(x, offsets):
    starts = offsets[:-1]
    x = x - np.repeat(np.maximum.reduceat(x, starts), np.diff(offsets))
    e = np.exp(x)
    return e / np.repeat(np.add.reduceat(e, starts), np.diff(offsets))


@pytest.fixture
def make_problem() -> Callable[..., tuple[TuningProblem, np.ndarray]]:
    """A small world whose features predict the reward with ``strength``, and its truth."""

    def make(
        seed=0,
        n=1500,
        f=4,
        strength=1.0,
        users=300,
        guardrail_margin=None,
        floor=0.1,
        clip=10.0,
        missing=0.05,
        champion_from_anchor=True,
        component=True,
    ):
        g = np.random.default_rng(seed)
        lengths = g.integers(3, 9, n)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        total = int(offsets[-1])
        raw = g.normal(size=(total, f))
        anchor_logits = 0.7 * raw[:, 0] + 0.5 * g.normal(size=total)
        soft = _softmax(anchor_logits, offsets)
        mixed = (1 - floor) * soft + np.repeat(floor / lengths, lengths)
        cum = np.cumsum(mixed)
        draw = g.random(n) + np.arange(n)
        shown = np.clip(np.searchsorted(cum, draw), offsets[:-1], offsets[1:] - 1)
        beta = strength * np.linspace(1.0, -0.5, f) / np.sqrt(f)
        cluster = g.integers(0, users, n)
        truth = 0.5 + 0.25 * np.tanh(
            raw @ beta + 0.3 * g.normal(size=users)[cluster].repeat(lengths)
        )
        known = 1 / (1 + np.exp(-raw[:, 1]))
        reward = (g.random(n) < truth[shown]).astype(float)
        reward[g.random(n) < missing] = np.nan
        columns = tuple(f"head_{j}" for j in range(f))
        objectives = [STAR]
        rewards, q = [reward], [0.5 + 0.2 * np.tanh(raw @ beta)]
        serves = ["delight"] + [None] * (f - 1)
        if component:
            role = "component" if guardrail_margin is None else "guardrail"
            objectives.append(
                Objective("diversity", "list", role=role, margin=guardrail_margin or 0.0)
            )
            rewards.append(known[shown])
            q.append(known)
            serves[1] = "diversity"
        features = Standardiser.fit(columns, raw).apply(raw)
        problem = TuningProblem(
            offsets=offsets,
            shown=shown,
            propensity=mixed[shown],
            cluster=cluster,
            features=features,
            columns=columns,
            serves=tuple(serves),
            log_anchor=np.log(soft if champion_from_anchor else mixed),
            champion=mixed,
            rewards=np.column_stack(rewards),
            q=np.column_stack(q),
            objectives=tuple(objectives),
            floor=floor,
            weight_clip=clip,
        )
        return problem, truth

    return make
