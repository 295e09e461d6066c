"""Students: what they learn from, whom they never see, and that they are served alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file
from scipy.special import expit

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.user_folds import crc, user_folds
from mrlm.behaviour.ensemble.storage import load_reward_model
from mrlm.behaviour.fitting import distilled
from mrlm.behaviour.fitting.distilled import ASKED, drawn_candidates
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.behaviour.fitting.taught import Taught, fit_taught
from mrlm.behaviour.fitting.training import train_network
from mrlm.behaviour.language_settings import LanguageSettings
from mrlm.behaviour.networks.network import PairNetwork
from mrlm.behaviour.settings import BehaviourSettings
from mrlm.metrics.curves import Curves
from tests.behaviour.conftest import SMALL

TAUGHT = SMALL.model_copy(update={"distil": 0.5})


@pytest.fixture(scope="module")
def taught(fit_log: BanditLog) -> Taught:
    return fit_taught(
        fit_log.take(np.arange(2400)), TAUGHT.model_copy(update={"distil": 1.0}), seed=1
    )


def test_a_student_of_the_teacher_alone_is_nearer_to_it_than_who_learned_without(
    taught: Taught, later_log: BanditLog
) -> None:
    """One fixed world; what is asserted holds by a margin of a third and more."""
    assert (taught.teacher.kind, taught.student.kind) == ("history", "reward_model")
    wanted, student, pair = (
        m.score(later_log.decisions)[:, :2] for m in (taught.teacher, taught.student, taught.pair)
    )
    gaps = [np.abs(found - wanted).mean(axis=0) for found in (student, pair)]
    assert (gaps[0] < 0.8 * gaps[1]).all(), gaps


def test_no_member_of_a_student_learns_from_the_users_it_is_for(fit_log: BanditLog) -> None:
    like = fit_log.column("like")
    log = replace(
        fit_log,
        objectives=(fit_log.objectives[like],),
        rewards=fit_log.rewards[:, [like]],
        final=fit_log.final[:, [like]],
        unknown=fit_log.unknown[:, [like]],
        lost=fit_log.lost[:, [like]],
    )
    held = user_folds(log.decisions.user, 3, crc()) == 1
    flipped = replace(log, rewards=np.where(held[:, None], 1.0 - log.rewards, log.rewards))
    settings = TAUGHT.model_copy(update={"epochs": 1})
    few = np.arange(600)
    first, second = (
        fit_reward_model(of.take(few), settings, seed=0).members for of in (log, flipped)
    )
    for k in range(3):
        weights = [m[k].network.state_dict().values() for m in (first, second)]
        assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True)) == (k == 1)


def test_what_is_stored_is_the_student_alone_and_is_the_same_again(
    taught: Taught, later_log: BanditLog, tmp_path: Path
) -> None:
    taught.student.save(tmp_path)
    names = {n.split(".")[1] for n in load_file(tmp_path / "model.safetensors") if n[0].isdigit()}
    assert names == {"network", "statistics"}, "neither factors nor a language model"
    assert '"kind": "reward_model"' in (tmp_path / "model.json").read_text()
    again = load_reward_model(tmp_path).score(later_log.decisions)
    assert (again == taught.student.score(later_log.decisions)).all()


def test_a_language_model_teaches_too_and_curves_say_whose_they_are(
    fit_log: BanditLog, small_language: LanguageSettings
) -> None:
    settings = TAUGHT.model_copy(
        update={"model": "language", "language": small_language, "folds": 2, "epochs": 1}
    )
    log, curves, seen = fit_log.take(np.arange(200)), Curves(), list[tuple[int, int]]()
    student = fit_reward_model(log, settings, 0, lambda a, b: seen.append((a, b)), curves)
    assert student.kind == "reward_model"
    assert seen == [(i, 4) for i in range(1, 5)]
    assert {"0/loss", "1/held_back_loss", "teacher/0/loss"} < set(curves.points)
    assert len(curves.points) == 8


def test_the_teacher_is_asked_about_some_candidates_of_every_decision(fit_log: BanditLog) -> None:
    decisions = fit_log.decisions
    drawn = drawn_candidates(decisions, seed=3)
    assert (drawn.candidates.lengths == np.minimum(decisions.candidates.lengths, ASKED)).all()
    place = np.zeros(6, np.int64)
    for i in range(len(decisions)):
        offered, kept = decisions.candidates[i].tolist(), drawn.candidates[i].tolist()
        places = [offered.index(code) for code in kept]
        assert places == sorted(set(places)), "in their order, none twice"
        place[places] += 1
    # Of 4,800 decisions each place is drawn in two thirds: 5 standard errors are 163.
    np.testing.assert_allclose(place, len(decisions) * ASKED / 6, atol=163)


def test_settings_without_a_teacher_are_refused(fit_log: BanditLog) -> None:
    with pytest.raises(ValueError, match="nothing to teach"):
        BehaviourSettings(model="pair", distil=0.5)
    with pytest.raises(ValueError, match="no student"):
        fit_taught(fit_log, SMALL, seed=0)


def test_a_decisions_loss_is_shared_between_what_was_observed_and_the_teacher(
    fit_log: BanditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []

    def spied(features: Any, targets: Any, binary: Any, rows: Any, *more: Any) -> PairNetwork:
        seen.append((targets.copy(), more[-1]))
        return train_network(features, targets, binary, rows, *more)

    monkeypatch.setattr(distilled, "train_network", spied)
    log = fit_log.take(np.arange(300))
    settings = TAUGHT.model_copy(update={"epochs": 1, "distil": 0.25})
    teacher = fit_taught(log, settings, 0).teacher
    asked, j = drawn_candidates(log.decisions, 0), teacher.heads.index("like")
    outputs = teacher.hidden(asked)[1][..., j]
    fold = user_folds(log.decisions.user, 3, crc())[asked.candidates.row]
    for k, (targets, weights) in enumerate(seen):
        assert (targets[:300, j] == log.rewards[:, log.column("like")]).all()
        # Of users whom the member has not seen, it reads all there is, as when it serves.
        expected = expit(outputs[k, fold == k])
        np.testing.assert_allclose(targets[300:, j][fold == k], expected, atol=1e-5)
        by_decision = np.bincount(asked.candidates.row, weights[300:])
        np.testing.assert_allclose(weights[:300], 0.75)
        np.testing.assert_allclose(by_decision, 0.25)
    assert len(seen) == 3
