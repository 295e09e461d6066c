"""Models that are computed in one pass give what each gives alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.bandit_log import BanditLog, Decisions
from mrlm.bandit_log.later_slot import next_slot
from mrlm.behaviour.ensemble import stack_items as module
from mrlm.behaviour.ensemble import stack_uncertainty
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.ensemble.stack_pairs import PairReader


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


def test_each_keeps_its_own_uncertainty_or_none(
    model: RewardModel, other: RewardModel, some: Decisions
) -> None:
    """A posterior, another one, the spread of members of an earlier format, and none."""
    assert model.posterior is not None
    wider = replace(model.posterior, root=2 * model.posterior.root, level=1.0, item=0.7)
    models = [
        model,
        replace(other, posterior=wider),
        replace(other, posterior=None),
        other.expectation,
    ]
    joined = RewardModel.together(models)
    assert [len(m.stack.models) for m in joined if m.stack] == [4] * 4
    for decisions in shapes(some):
        alone = [m.score(decisions) for m in models]
        found = [m.score(decisions) for m in joined]
        np.testing.assert_allclose(found, alone, atol=1e-11)
        assert (found[3][:, -1] == 0).all()
        assert all((v[:, -1] > 0).all() for v in found[:3])
        np.testing.assert_allclose(found[3][:, :-1], found[1][:, :-1], atol=1e-11)
        assert not np.allclose(found[1][:, -1], found[2][:, -1], rtol=0.05)


def test_uncertainty_that_is_not_told_is_not_multiplied(
    model: RewardModel, some: Decisions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack_uncertainty, "layer_variance", lambda *_: pytest.fail("computed"))
    with pytest.raises(pytest.fail.Exception, match="computed"):
        model.score(some)
    joined = RewardModel.together([model.expectation, model.in_single.expectation])
    assert [m.score(some)[:, -1].max() for m in joined] == [0, 0]
    with pytest.raises(ValueError, match="no uncertainty"):
        joined[0].interval(some)


def test_all_are_read_when_the_first_is_asked(
    model: RewardModel, other: RewardModel, some: Decisions, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, read = [], PairReader.read
    monkeypatch.setattr(
        PairReader, "read", lambda own, decisions: asked.append(1) or read(own, decisions)
    )
    for joined in RewardModel.together([model, other]):
        joined.score(some)
    assert len(asked) == 1


def test_another_shape_or_precision_is_computed_by_itself(
    model: RewardModel, other: RewardModel, some: Decisions
) -> None:
    assert other.posterior is not None
    two = replace(other.posterior, root=other.posterior.root[:2])
    fewer = replace(other, members=other.members[:2], posterior=two)
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
