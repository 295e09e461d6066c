"""A learner with other settings is that learner at those settings, under its own name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from mrlm.bandit_log import BanditLog
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.learners.contract import Learner
from mrlm.learners.inputs import learning_sample
from mrlm.learners.registry import LEARNERS
from mrlm.learners.settings import LearningSettings
from mrlm.learners.storage import load_learned
from mrlm.learners.variant import learners_of
from tests.learners.test_learners import SETTINGS, WEIGHTS

CHANGED = {"conservative": 2.0, "discount": 0.0}


def named(**variants: object) -> LearningSettings:
    """The small settings with variants of ``q_learning``."""
    return LearningSettings.model_validate(
        {**SETTINGS.model_dump(), "variants": {"q_learning": variants}}
    )


def test_a_variant_is_the_learner_at_its_settings(
    fit_log: BanditLog, model: RewardModel, tmp_path: Path
) -> None:
    settings = named(careful=CHANGED)
    learners = learners_of(settings)
    assert list(learners) == ["policy_gradient", "q_learning", "q_learning.careful"]
    sample = learning_sample(fit_log, model, WEIGHTS, settings, 7)
    variant = learners["q_learning.careful"]
    assert isinstance(variant, Learner)
    found = variant.learn(sample, settings, 7)
    same = LEARNERS["q_learning"].learn(sample, SETTINGS.model_copy(update=CHANGED), 7)
    typed = LEARNERS["q_learning"].learn(sample, settings, 7)
    own, by_hand, others = (s.network.state_dict() for s in (found, same, typed))
    assert all(torch.equal(own[k], by_hand[k]) for k in own)
    assert not all(torch.equal(own[k], others[k]) for k in own)
    assert (found.columns, found.kind) == (("q_learning.careful",), "q_learning")
    found.save(tmp_path)
    read = load_learned(tmp_path)
    assert (read.name, read.kind) == (found.name, found.kind)
    assert (read.score(fit_log.decisions) == found.score(fit_log.decisions)).all()


def test_a_variant_looks_ahead_by_its_own_discount() -> None:
    settings = named(careful=CHANGED)
    learners = learners_of(settings)
    assert learners["q_learning"].looks_ahead(settings)
    assert not learners["q_learning.careful"].looks_ahead(settings)


def test_of_a_table_only_what_is_named_changes() -> None:
    settings = LearningSettings.model_validate(
        {"variants": {"implicit_q_learning": {"bold": {"implicit_q_learning": {"expectile": 0.7}}}}}
    )
    changes = settings.variants["implicit_q_learning"]["bold"]
    found = settings.with_changes(changes)
    assert found.implicit_q_learning.expectile == 0.7
    assert found.implicit_q_learning.temperature == 0.1
    assert found.variants == {}


@pytest.mark.parametrize(
    ("variants", "told"),
    [
        ({"a": {}}, "learning.variants.q_learning.a: what is tried changes one setting at least"),
        ({"a": {"floor": 0.2}}, "none of epochs, floor"),
        ({"a": {"conservative": SETTINGS.conservative}}, "the same settings as they are typed"),
        ({"a": CHANGED, "b": CHANGED}, "learning.variants.q_learning.b: the same settings"),
        ({"a": {"conservative": -1}}, "conservative: Input should be greater than or equal to 0"),
        ({"a": {"patience": 1}}, "patience: Extra inputs are not permitted"),
        ({"A b": CHANGED}, "String should match pattern"),
    ],
)
def test_what_is_no_variant_is_refused(variants: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        named(**variants)
