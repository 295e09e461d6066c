"""What every behaviour model keeps to; ``model`` and ``chosen`` are each of them in turn."""

from __future__ import annotations

import inspect
import json
import weakref
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Decisions, Ragged
from mrlm.bandit_log import decisions as decisions_module
from mrlm.bandit_log.user_folds import crc, user_folds
from mrlm.behaviour.contract import BehaviourModel
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.ensemble.stack_pairs import PairReader
from mrlm.behaviour.ensemble.storage import load_reward_model
from mrlm.behaviour.features.pair_features import pair_features, shown_only
from mrlm.behaviour.features.taste import taste_features
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.behaviour.networks.network import evaluate
from mrlm.behaviour.networks.threads import side_by_side
from mrlm.behaviour.report import ALL, groups_of, report_reward_model
from mrlm.behaviour.settings import BehaviourSettings
from mrlm.learners.storage import SCORER_LOADERS
from mrlm.metrics.curves import Curves
from mrlm.metrics.ranking import auc
from mrlm.policies.contract import Scorer


def likes_only(log: BanditLog) -> BanditLog:
    return replace(
        log, objectives=log.objectives[:1], rewards=log.rewards[:, :1], final=log.final[:, :1]
    )


def test_it_is_a_scorer_with_one_column_a_feedback_objective(
    model: RewardModel, later_log: BanditLog
) -> None:
    scores = model.score(later_log.decisions)
    assert isinstance(model, Scorer)
    assert isinstance(model, BehaviourModel)
    assert model.kind in SCORER_LOADERS
    assert model.columns == ("like", "rating", "uncertainty")
    assert scores.shape == (len(later_log.decisions.candidates.values), 3)
    assert np.isfinite(scores).all()
    assert ((scores[:, 0] > 0) & (scores[:, 0] < 1)).all()
    assert (scores[:, 2] >= 0).all()


@pytest.mark.statistics
def test_it_predicts_later_nights(model: RewardModel, later_log: BanditLog) -> None:
    """The seed is fixed: .696 here; popularity alone has .565 and the truth .816."""
    found = report_reward_model(model, later_log)
    reports = {r.objective: r for r in found if r.group == ALL}
    like, rating = reports["like"], reports["rating"]
    popularity = later_log.decisions.catalog.attributes["popularity"]
    shown = later_log.decisions.candidates.values[later_log.shown]
    assert like.rows == len(later_log)
    assert like.auc is not None
    assert like.auc > 0.67
    assert like.auc > auc(later_log.rewards[:, 0], popularity[shown])
    assert like.log_loss is not None
    assert like.log_loss < 0.67
    assert like.calibration_error is not None
    assert like.calibration_error < 0.08
    assert rating.auc is None
    assert rating.explained is not None
    assert rating.explained > 0.1


def test_it_is_reported_for_scenes_new_items_and_new_users(
    model: RewardModel, later_log: BanditLog
) -> None:
    log = later_log.take(np.arange(600))
    decisions = log.decisions
    scene = np.where(np.arange(600) % 3 == 0, "search", "home").astype(object)
    short = np.where(np.arange(600) < 200, decisions.until - 3, decisions.since)
    log = replace(log, decisions=replace(decisions, scene=scene, since=short))
    groups = groups_of(model, log)
    known = set(model.members[0].statistics.item_id) | set(model.members[1].statistics.item_id)
    shown = decisions.catalog.item_id[decisions.candidates.values[log.shown]]
    few = "users with at most 5 events"
    assert list(groups) == [ALL, "scene home", "scene search", "new items", few]
    assert groups["scene search"].tolist() == (scene == "search").tolist()
    assert (groups[few] == (np.arange(600) < 200)).all()
    assert not groups["new items"][np.isin(shown, list(known))].any()
    reports = {(r.objective, r.group): r for r in report_reward_model(model, log)}
    for group, inside in groups.items():
        for head in ("like", "rating"):
            if not inside.any():
                assert (head, group) not in reports
                continue
            alone = report_reward_model(model, log.where(inside))[0 if head == "like" else -1]
            if alone.group == ALL:
                assert reports[head, group].auc == alone.auc
            assert reports[head, group].rows == inside.sum()
            assert reports[head, group].users == len(set(decisions.user[inside]))
    whole = reports["like", ALL]
    # The first 600 decisions are of 600 users: no user has both outcomes.
    assert (whole.users, whole.auc_within_users) == (600, None)
    within = report_reward_model(model, later_log)[0].auc_within_users
    assert within is not None
    assert 0.5 < within < 1.0


def test_the_same_seed_gives_the_same_bits(
    chosen: BehaviourSettings, fit_log: BanditLog, later_log: BanditLog
) -> None:
    few, later = fit_log.take(np.arange(600)), later_log.decisions.take(np.arange(200))
    short = chosen.model_copy(update={"epochs": 1})
    scores, again, other = (fit_reward_model(few, short, seed).score(later) for seed in (1, 1, 2))
    assert (scores == again).all()
    assert (scores != other).any()


def test_what_is_loaded_scores_the_same_to_the_bit(
    model: RewardModel, later_log: BanditLog, tmp_path: Path
) -> None:
    model.save(tmp_path)
    again = load_reward_model(tmp_path)
    assert {p.suffix for p in tmp_path.iterdir()} == {".json", ".safetensors"}
    assert (again.score(later_log.decisions) == model.score(later_log.decisions)).all()
    assert (
        again.score_cross_fitted(later_log.decisions)
        == model.score_cross_fitted(later_log.decisions)
    ).all()


def test_the_same_content_is_read_once(model: RewardModel, tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        model.save(folder)
    assert load_reward_model(folders[0]) is load_reward_model(folders[1])


def test_the_same_decisions_are_encoded_once_in_a_row(
    model: RewardModel, later_log: BanditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Decisions] = []
    read = PairReader.read

    def counted(own: PairReader, decisions: Decisions) -> Any:
        seen.append(decisions)
        return read(own, decisions)

    monkeypatch.setattr(PairReader, "read", counted)
    one, two = (later_log.take(np.arange(k)).decisions for k in (40, 50))
    first = model.encode(one)
    assert model.encode(one) is first
    assert len(model.encode(two)[1]) == len(two.candidates.values)
    np.testing.assert_array_equal(model.encode(one)[1], first[1])
    assert [d is one for d in seen] == [True, False, True]


def test_what_was_encoded_goes_with_its_decisions(model: RewardModel, later_log: BanditLog) -> None:
    decisions = later_log.take(np.arange(40)).decisions
    kept = weakref.ref(model.encode(decisions)[0])
    assert kept() is not None
    del decisions
    assert kept() is None


def test_another_format_is_refused(model: RewardModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    data = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps({**data, "format": 99}))
    with pytest.raises(ValueError, match="format 99"):
        load_reward_model(tmp_path)


def test_the_catalogue_may_change_its_codes(model: RewardModel, later_log: BanditLog) -> None:
    """Items that nobody is offered are taken away: codes move, scores stay."""
    decisions = later_log.take(np.arange(50)).decisions
    catalog = decisions.catalog
    used = np.union1d(decisions.candidates.values, decisions.history.values)
    assert len(used) < len(catalog)
    place = np.full(len(catalog), -1, np.int32)
    place[used] = np.arange(len(used))
    assert catalog.embedding is not None
    smaller = replace(
        catalog,
        item_id=catalog.item_id[used],
        text=catalog.text[used],
        categories=catalog.categories.take(used),
        provider=catalog.provider[used],
        attributes={k: v[used] for k, v in catalog.attributes.items()},
        embedding=catalog.embedding[used],
    )
    moved = replace(
        decisions,
        catalog=smaller,
        candidates=replace(decisions.candidates, values=place[decisions.candidates.values]),
        histories=replace(decisions.histories, item=place[decisions.histories.item]),
    )
    np.testing.assert_allclose(model.score(moved), model.score(decisions), atol=1e-5)


def test_scores_do_not_depend_on_the_block(
    model: RewardModel, later_log: BanditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = model.score(later_log.decisions)
    crossed = model.score_cross_fitted(later_log.decisions)
    monkeypatch.setattr(decisions_module, "BLOCK", 500)
    np.testing.assert_allclose(model.score(later_log.decisions), whole, atol=1e-6)
    np.testing.assert_allclose(model.score_cross_fitted(later_log.decisions), crossed, atol=1e-6)


def test_cross_fitted_scores_come_from_the_member_that_never_saw_the_user(
    model: RewardModel, fit_log: BanditLog
) -> None:
    decisions = fit_log.decisions
    features = pair_features(decisions, model.space)
    fold = user_folds(decisions.user, 3, crc())[features.row]
    crossed = model.score_cross_fitted(decisions)
    assert crossed.shape == (len(fold), 2)
    for k, member in enumerate(model.members):
        taste = taste_features(decisions, model.space, member.factors)
        whole = features.with_columns(member.columns(decisions, taste))
        wanted = model.calibration[0](evaluate(member.network, whole, 2)[:, 0])
        np.testing.assert_allclose(crossed[fold == k, 0], wanted[fold == k], atol=1e-6)
    encoded, values = model.encode_cross_fitted(decisions)
    assert (values == crossed).all()
    np.testing.assert_allclose(
        encoded.dense[:, : features.dense.shape[1]], features.dense, atol=1e-5
    )
    np.testing.assert_allclose(encoded.user_vectors, features.user_vectors, atol=1e-5)


def test_no_member_learns_from_the_users_it_is_for(
    fit_log: BanditLog, chosen: BehaviourSettings
) -> None:
    log = likes_only(fit_log)
    settings = chosen.model_copy(update={"epochs": 1})
    held = user_folds(log.decisions.user, 3, crc()) == 1
    flipped = replace(log, rewards=np.where(held[:, None], 1.0 - log.rewards, log.rewards))
    first = fit_reward_model(log, settings, seed=0).members
    second = fit_reward_model(flipped, settings, seed=0).members
    for k in range(3):
        same = all(
            torch.equal(a, b)
            for a, b in zip(
                first[k].network.state_dict().values(),
                second[k].network.state_dict().values(),
                strict=True,
            )
        )
        assert same == (k == 1)
    assert (first[1].statistics.values == second[1].statistics.values).all()


def test_outcomes_cannot_enter_the_features(model: RewardModel, fit_log: BanditLog) -> None:
    """Features and scores take ``Decisions``, which has no field of outcomes."""
    for function in (pair_features, RewardModel.score, RewardModel.encode_cross_fitted):
        annotations = inspect.signature(function).parameters
        assert "BanditLog" not in {p.annotation for p in annotations.values()}
    allowed = {
        "catalog",
        "user",
        "scene",
        "position",
        "ts",
        "candidates",
        "histories",
        "since",
        "until",
        "request",
        "above",
    }
    assert {f.name for f in fields(Decisions)} == allowed
    everything = pair_features(fit_log.decisions, model.space)
    only = pair_features(shown_only(fit_log), model.space)
    np.testing.assert_allclose(only.dense, everything.dense[fit_log.shown], atol=1e-5)


@pytest.mark.parametrize("drop", ["history", "attributes", "scene"])
def test_what_was_never_seen_still_scores(
    model: RewardModel, later_log: BanditLog, drop: str
) -> None:
    decisions = later_log.decisions
    catalog = decisions.catalog
    if drop == "history":
        nothing = np.full_like(decisions.histories.rewards, np.nan)
        decisions = replace(decisions, histories=replace(decisions.histories, rewards=nothing))
    if drop == "attributes":
        gone = {k: np.full(len(catalog), np.nan) for k in list(catalog.attributes)[:1]}
        decisions = replace(decisions, catalog=replace(catalog, attributes=gone))
    if drop == "scene":
        decisions = replace(decisions, scene=np.full(len(decisions), "new", object))
    assert np.isfinite(model.score(decisions)).all()


def test_rewards_that_are_not_final_teach_nothing(
    fit_log: BanditLog, chosen: BehaviourSettings
) -> None:
    log = likes_only(fit_log.take(np.arange(900)))
    settings = chosen.model_copy(update={"epochs": 1})
    open_rows = np.arange(len(log)) % 3 == 0
    final = log.final & ~open_rows[:, None]
    absent = replace(log, rewards=np.where(open_rows[:, None], np.nan, log.rewards))
    first = fit_reward_model(replace(log, final=final), settings, 0).score(log.decisions)
    assert (fit_reward_model(absent, settings, 0).score(log.decisions) == first).all()


def test_progress_and_curves_count_epochs_and_change_nothing(
    fit_log: BanditLog, chosen: BehaviourSettings
) -> None:
    seen: list[tuple[int, int]] = []
    settings = chosen.model_copy(update={"epochs": 2})
    log, curves = fit_log.take(np.arange(300)), Curves()
    told = fit_reward_model(log, settings, 0, lambda a, b: seen.append((a, b)), curves)
    assert seen == [(i, 6) for i in range(1, 7)]
    names = [f"{k}/{name}" for k in range(3) for name in ("loss", "held_back_loss")]
    # A transformer's own, which ends when users held back gain no more, stand apart.
    assert {n for n in curves.points if not n.startswith("sequence/")} == set(names)
    assert all([step for step, _ in curves.points[name]] == [1, 2] for name in names)
    assert all(np.isfinite([value for _, value in curves.points[name]]).all() for name in names)
    silent = fit_reward_model(log, settings, 0)
    assert (told.score(log.decisions) == silent.score(log.decisions)).all(), "looking changes it"


def _no_embedding(log: BanditLog) -> BanditLog:
    catalog = replace(log.decisions.catalog, embedding=None)
    return replace(log, decisions=replace(log.decisions, catalog=catalog))


def _one_user(log: BanditLog) -> BanditLog:
    return log.where(log.decisions.user == log.decisions.user[0])


def _nothing_final(log: BanditLog) -> BanditLog:
    return replace(log, final=np.zeros_like(log.final))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_no_embedding, "embed"),
        (_one_user, "users are too few"),
        (_nothing_final, "final 'like'"),
        (lambda log: log.take(np.zeros(0, np.int64)), "final 'like'"),
    ],
)
def test_what_cannot_be_fitted_says_what_to_do(
    fit_log: BanditLog, chosen: BehaviourSettings, spoil: object, message: str
) -> None:
    assert callable(spoil)
    with pytest.raises(ValueError, match=message):
        fit_reward_model(spoil(fit_log), chosen, 0)


def test_a_bare_log_is_enough(fit_log: BanditLog, chosen: BehaviourSettings) -> None:
    """No categories, no attributes, no history, one candidate: only the embedding is left."""
    log = fit_log.take(np.arange(300))
    catalog, n = log.decisions.catalog, len(log)
    none = Ragged(np.zeros(n + 1, np.int64), np.zeros(0, np.int32))
    bare = replace(
        log,
        action=np.zeros(n, np.int64),
        decisions=replace(
            shown_only(log),
            catalog=replace(
                catalog,
                categories=Ragged(np.zeros(len(catalog) + 1, np.int64), np.zeros(0, np.int32)),
                category_names=np.zeros(0, object),
                attributes={},
            ),
        ).with_history(none, np.zeros(0, np.float32)),
        rewards=np.zeros_like(log.rewards),
    )
    model = fit_reward_model(bare, chosen.model_copy(update={"epochs": 1}), 0)
    assert np.isfinite(model.score(bare.decisions)).all()
    assert report_reward_model(model, bare)[0].auc is None


def test_the_ranking_beats_the_logger(
    model: RewardModel,
    later_log: BanditLog,
    world: tuple[BanditLog, NDArray[np.float64]],
) -> None:
    log, truth = world
    nights = np.repeat(log.night, log.decisions.candidates.lengths)
    true_like = truth[np.isin(nights, np.unique(later_log.night)), 0].reshape(-1, 6)
    best = model.score(later_log.decisions)[:, 0].reshape(-1, 6).argmax(axis=1)
    greedy = true_like[np.arange(len(best)), best].mean()
    logger = (later_log.candidate_propensity.reshape(-1, 6) * true_like).sum(axis=1).mean()
    assert greedy > logger + 0.08


def test_several_threads_may_ask_one_model_at_a_time(
    model: RewardModel, later_log: BanditLog
) -> None:
    parts = [later_log.decisions.take(np.arange(k, 600, 8)) for k in range(8)] * 3
    together = side_by_side(model.score, parts)
    for part, found in zip(parts, together, strict=True):
        assert np.array_equal(found, model.score(part))
