"""Models that are computed in one pass give what each gives alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.bandit_log import BanditLog, Decisions
from mrlm.bandit_log.later_slot import next_slot
from mrlm.behaviour import model_stack as module
from mrlm.behaviour.model_stack import ModelStack
from mrlm.behaviour.reward_model import RewardModel


@pytest.fixture(scope="module")
def other(model: RewardModel) -> RewardModel:
    """Of the same shape, with another space, scales and members."""
    space = model.space
    scales = tuple(replace(h, centre=h.centre + 0.3, scale=2 * h.scale) for h in space.history)
    turned = np.ascontiguousarray(space.components[:, ::-1])
    return replace(
        model,
        space=replace(space, components=turned, history=scales),
        members=model.members[::-1],
        calibration=tuple(replace(c, intercept=c.intercept + 0.1) for c in model.calibration),
    )


@pytest.fixture(scope="module")
def some(later_log: BanditLog) -> Decisions:
    return later_log.decisions.take(np.arange(0, 60, 3))


def shapes(some: Decisions) -> list[Decisions]:
    """Several decisions, a single one, further slots of both, and lists beside one another."""
    alone = some.take(np.array([7]))
    further = [next_slot(d, d.offsets[:-1] + 1, d.candidates[0][1:2]) for d in (alone,)]
    second = next_slot(some, some.offsets[:-1] + 1, some.candidates.values[some.offsets[:-1] + 1])
    return [some, alone, *further, second, some.take(np.array([3, 3, 5]))]


def test_each_gives_what_it_gives_alone(
    model: RewardModel, other: RewardModel, some: Decisions
) -> None:
    joined = RewardModel.together([model, other])
    assert not np.allclose(model.score(some), other.score(some), atol=1e-3)
    for decisions in shapes(some):
        for alone, together in zip((model, other), joined, strict=True):
            wanted, values = alone.encode(decisions)
            features, found = together.encode(decisions)
            np.testing.assert_allclose(found, values, atol=1e-11)
            np.testing.assert_allclose(features.dense, wanted.dense, atol=1e-11)


def test_all_are_read_when_the_first_is_asked(
    model: RewardModel, other: RewardModel, some: Decisions, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, read = [], ModelStack._read_pairs
    monkeypatch.setattr(
        ModelStack, "_read_pairs", lambda own, decisions: asked.append(1) or read(own, decisions)
    )
    for joined in RewardModel.together([model, other]):
        joined.score(some)
    assert len(asked) == 1


def test_another_shape_or_precision_is_computed_by_itself(
    model: RewardModel, other: RewardModel, some: Decisions
) -> None:
    fewer = replace(other, members=other.members[:2])
    joined = RewardModel.together([model, fewer, other.in_single, other])
    assert [len(m.stack.models) for m in joined if m.stack] == [2, 1, 1, 2]
    assert [m.place for m in joined] == [0, 0, 0, 1]
    np.testing.assert_allclose(joined[1].score(some), fewer.score(some), atol=1e-11)


def test_of_a_large_catalogue_only_what_is_asked_for_is_computed(
    model: RewardModel, other: RewardModel, some: Decisions, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = other.score(some)
    monkeypatch.setattr(module, "KEPT_ITEMS", 8)
    found = RewardModel.together([model, other])[1].score(some)
    np.testing.assert_allclose(found, wanted, atol=1e-11)
