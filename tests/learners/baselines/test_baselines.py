"""One contract for every baseline, and what each of them says, by hand and by brute force."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Catalog, Decisions, Ragged
from mrlm.bandit_log.catalog import ITEMS_SCHEMA
from mrlm.learners.baselines import BASELINES, fit_baselines, nearest_neighbours
from mrlm.learners.baselines.contract import Baseline
from mrlm.learners.baselines.item_mean import fit_item_mean
from mrlm.learners.baselines.item_sums import ItemSums
from mrlm.learners.baselines.nearest_neighbours import fit_nearest_neighbours
from mrlm.learners.baselines.popularity import fit_popularity, fit_recent_popularity
from mrlm.learners.storage import (
    SCORER_LOADERS,
    load_baseline_scores,
    load_baselines,
    save_baselines,
)
from mrlm.policies.contract import Policy, Scorer
from tests.evidence.arrays import make_log
from tests.history_value import history_value


@pytest.fixture(scope="session")
def fitted(fit_log: BanditLog) -> dict[str, Scorer]:
    return {name: fit(fit_log, "like") for name, fit in BASELINES.items()}


@pytest.fixture(params=BASELINES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def shown_log(
    items: list[int], rewards: list[float], nights: list[str] | None = None, users: int = 2
) -> BanditLog:
    """Decisions among items i0 to i5 in which these were shown, of users in turn."""
    n = len(items)
    log = make_log(n=n, users=users, nights=tuple(nights or ["2026-11-20"] * n))
    alone = Ragged(np.arange(n + 1, dtype=np.int64), np.array(items, np.int32))
    return replace(
        log,
        decisions=replace(log.decisions, candidates=alone),
        action=np.zeros(n, np.int64),
        rewards=np.stack([np.array(rewards), np.zeros(n), np.ones(n)], axis=1),
    )


def values(scorer: Scorer, log: BanditLog) -> list[float]:
    """The scores of items i0 to i5 for a user without a history."""
    all_items = Ragged(np.array([0, 6], np.int64), np.arange(6, dtype=np.int32))
    one = replace(log.decisions.take(np.array([0])), candidates=all_items)
    found: list[float] = scorer.score(one)[:, 0].tolist()
    return found


def test_it_keeps_the_contract(
    name: str, fitted: dict[str, Scorer], later: tuple[BanditLog, NDArray[np.float64]]
) -> None:
    scorer, decisions = fitted[name], later[0].decisions
    assert isinstance(BASELINES[name], Baseline)
    assert isinstance(scorer, Scorer)
    assert scorer.kind == name
    assert scorer.columns == (name,)
    scores = scorer.score(decisions)
    assert scores.dtype == np.float64
    assert scores.shape == (len(decisions.candidates.values), 1)
    assert np.isfinite(scores).all()
    assert scores.std() > 0
    index = np.array([40, 3, 3])
    alone = scorer.score(decisions.take(index))[:, 0]
    flat = np.concatenate([np.arange(*decisions.offsets[i : i + 2]) for i in index])
    assert (alone == scores[flat, 0]).all()
    with pytest.raises(KeyError, match="no objective 'clicks'"):
        BASELINES[name](later[0], "clicks")


def test_the_same_log_gives_the_same_scores_to_the_bit(
    name: str, fitted: dict[str, Scorer], fit_log: BanditLog
) -> None:
    again = BASELINES[name](fit_log, "like")
    assert (again.score(fit_log.decisions) == fitted[name].score(fit_log.decisions)).all()


def test_what_is_loaded_scores_the_same_to_the_bit(
    name: str, fitted: dict[str, Scorer], fit_log: BanditLog, tmp_path: Path
) -> None:
    fitted[name].save(tmp_path)
    again = SCORER_LOADERS[name](tmp_path)
    assert again.kind == name
    assert (again.score(fit_log.decisions) == fitted[name].score(fit_log.decisions)).all()
    assert {p.suffix for p in tmp_path.rglob("*")} == {".json", ".safetensors"}
    path = tmp_path / "scorer.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 9'))
    with pytest.raises(ValueError, match="format 9"):
        SCORER_LOADERS[name](tmp_path)


def test_items_are_known_by_their_identifier(
    name: str, fitted: dict[str, Scorer], later: tuple[BanditLog, NDArray[np.float64]]
) -> None:
    """A later night's catalogue has other codes: new items, and some are gone."""
    decisions = later[0].take(np.arange(50)).decisions
    moved = in_another_catalogue(decisions)
    assert (moved.candidates.values != decisions.candidates.values).mean() > 0.9
    assert (fitted[name].score(moved) == fitted[name].score(decisions)).all()
    new = Ragged(moved.offsets, np.zeros_like(moved.candidates.values))
    assert len(set(fitted[name].score(replace(moved, candidates=new))[:, 0])) == 1


def in_another_catalogue(decisions: Decisions) -> Decisions:
    ragged = (decisions.candidates, decisions.history, decisions.above)
    used = sorted({int(c) for r in ragged for c in r.values})
    kept = [{"item_id": str(decisions.catalog.item_id[c])} for c in used]
    items = pa.Table.from_pylist([{"item_id": "a new one"}, *kept], schema=ITEMS_SCHEMA)
    catalog = Catalog.from_table(items)
    code = catalog.codes(decisions.catalog.item_id)
    candidates, _, above = (Ragged(r.offsets, code[r.values]) for r in ragged)
    histories = replace(decisions.histories, item=code[decisions.histories.item])
    return replace(
        decisions, catalog=catalog, candidates=candidates, histories=histories, above=above
    )


def test_only_known_and_final_rewards_count(name: str, fit_log: BanditLog) -> None:
    open_ = np.zeros_like(fit_log.final)
    open_[::3] = True
    rewards = fit_log.rewards.copy()
    rewards[::3] = np.where(np.arange(len(rewards[::3])) % 2 == 0, 9.0, -9.0)[:, None]
    promised = BASELINES[name](replace(fit_log, rewards=rewards, final=~open_), "like")
    unknown = replace(fit_log, rewards=np.where(open_, np.nan, fit_log.rewards))
    found = BASELINES[name](unknown, "like")
    assert (promised.score(fit_log.decisions) == found.score(fit_log.decisions)).all()
    whole = BASELINES[name](fit_log, "like")
    assert (whole.score(fit_log.decisions) != found.score(fit_log.decisions)).any()


@pytest.mark.parametrize("rows", [0, 40])
def test_without_a_known_reward_every_candidate_is_equal(
    name: str, rows: int, fit_log: BanditLog
) -> None:
    log = fit_log.take(np.arange(rows))
    log = replace(log, rewards=np.full_like(log.rewards, np.nan))
    policy = fit_baselines(log, "like", floor=0.1)[name]
    few = fit_log.take(np.arange(20)).decisions
    assert np.exp(policy.log_probabilities(few)) == pytest.approx(np.full(120, 1 / 6))


def test_they_survive_storage_together(fit_log: BanditLog, tmp_path: Path) -> None:
    policies = fit_baselines(fit_log, "like", floor=0.2)
    save_baselines(policies, tmp_path / "baselines")
    again = load_baselines(tmp_path / "baselines")
    assert set(again) == set(BASELINES) == set(policies)
    few = fit_log.take(np.arange(100)).decisions
    for name, policy in policies.items():
        assert (again[name].name, again[name].floor) == (name, 0.2)
        assert (again[name].log_probabilities(few) == policy.log_probabilities(few)).all()
    names = ["popularity", "item_mean"]
    scorers = load_baseline_scores(tmp_path / "baselines", names)
    assert [s.columns for s in scorers] == [("popularity",), ("item_mean",)]


def true_value(policy: Policy, log: BanditLog, truth: NDArray[np.float64]) -> float:
    return float(np.exp(policy.log_probabilities(log.decisions)) @ truth[:, 0] / len(log))


@pytest.mark.statistics
def test_what_knows_rewards_beats_the_logger_on_later_nights(
    fit_log: BanditLog, later: tuple[BanditLog, NDArray[np.float64]]
) -> None:
    """Exact true values and a fixed seed: no error rate. The logger has .51, the best item .76."""
    log, truth = later
    logger = float(log.candidate_propensity @ truth[:, 0]) / len(log)
    found = {
        name: true_value(policy, log, truth)
        for name, policy in fit_baselines(fit_log, "like", floor=0.1).items()
    }
    assert found["item_mean"] > logger + 0.05
    assert found["popularity"] > logger + 0.03
    assert found["recent_popularity"] > logger + 0.03
    # Twelve decisions a user make few pairs of items that several liked.
    assert found["nearest_neighbours"] > logger


def test_an_item_mean_is_drawn_to_the_mean_of_all() -> None:
    """Within 1.5 / 6 = 1/4; between (1/2 - 1/4) / (8 - 32 / 8) = 1/16; so 4 rows are added."""
    log = shown_log([0, 0, 0, 0, 3, 3, 3, 3], [1, 1, 0, 1, 0, 0, 1, 0])
    assert values(fit_item_mean(log, "delight"), log) == pytest.approx(
        [0.625, 0.5, 0.5, 0.375, 0.5, 0.5]
    )
    # 3 of 4 rows and 1 of 4, less than chance: items are not told apart.
    even = shown_log([0, 0, 0, 0, 3, 3, 3, 3], [1, 1, 0, 0, 0, 1, 1, 0])
    assert values(fit_item_mean(even, "delight"), even) == [0.5] * 6
    once = shown_log([0, 1, 2], [1, 0, 1])
    assert values(fit_item_mean(once, "delight"), once) == pytest.approx([2 / 3] * 6)


def test_an_item_mean_does_not_depend_on_the_rewards_unit(fit_log: BanditLog) -> None:
    one = fit_item_mean(fit_log, "like").score(fit_log.decisions)
    scaled = replace(fit_log, rewards=1000.0 * fit_log.rewards - 3.0)
    other = fit_item_mean(scaled, "like").score(fit_log.decisions)
    assert other == pytest.approx(1000.0 * one - 3.0)


def test_popularity_is_what_an_item_collected() -> None:
    log = shown_log([0, 0, 3, 3, 3, 5], [2.0, 0.5, 1.0, np.nan, 1.0, -4.0])
    assert values(fit_popularity(log, "delight"), log) == [2.5, 0, 0, 2.0, 0, -4.0]


def test_recent_popularity_is_that_of_the_newer_half_of_the_nights() -> None:
    """Nights on which nothing is known yet are none; of many nights seven are newest."""
    nights = [f"2026-11-{n:02d}" for n in range(1, 6)]
    log = shown_log([0, 1, 2, 3, 4], [1.0, 2.0, 3.0, 4.0, np.nan], nights)
    assert values(fit_recent_popularity(log, "delight"), log) == [0, 0, 3.0, 4.0, 0, 0]
    nights = [f"2026-11-{n:02d}" for n in range(1, 21)]
    log = shown_log([0] * 13 + [1] * 7, [1.0] * 20, nights)
    assert values(fit_recent_popularity(log, "delight"), log)[:2] == [0, 7.0]
    assert values(fit_popularity(log, "delight"), log)[:2] == [13.0, 7.0]


def brute_force(
    log: BanditLog, decisions: Decisions, neighbours: int, shrinkage: float
) -> NDArray[np.float64]:
    """The same scores by dense matrices and loops over the candidates."""
    reward, code = log.rewards[:, 0], log.decisions.candidates.values[log.shown]
    users = {u: i for i, u in enumerate(sorted(set(log.decisions.user)))}
    likes = np.zeros((len(users), len(log.decisions.catalog)))
    for u, c, r in zip(log.decisions.user, code, reward, strict=True):
        likes[users[u], c] = max(likes[users[u], c], float(r > reward.mean()))
    norm = np.sqrt(likes.sum(axis=0))
    cosine = likes.T @ likes / (np.outer(norm, norm) + shrinkage)
    np.fill_diagonal(cosine, 0.0)
    bar = float(np.nanmean(log.decisions.histories.rewards[:, 0].astype(np.float64)))
    out = []
    for d in range(len(decisions)):
        flat = slice(*decisions.history.offsets[d : d + 2])
        value = history_value(decisions)[flat]
        liked = {int(c) for c, v in zip(decisions.history[d], value, strict=True) if v > bar}
        own = []
        for c in decisions.candidates[d]:
            best = np.argsort(-cosine[c], kind="stable")[:neighbours]
            own.append(sum(cosine[c, j] for j in best if int(j) in liked))
        out += own if max(own) > 0 else likes.sum(axis=0)[decisions.candidates[d]].tolist()
    return np.array(out)


@pytest.mark.parametrize("neighbours", [3, 50])
def test_neighbours_are_those_of_dense_matrices(
    neighbours: int, fit_log: BanditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one piece and in many."""
    monkeypatch.setattr(nearest_neighbours, "_NEIGHBOURS", neighbours)
    part = fit_log.take(np.arange(3000, 3100)).decisions
    holes = history_value(part).copy()
    holes[::4] = np.nan
    part = part.with_history(part.history, holes)
    expected = brute_force(fit_log, part, neighbours, nearest_neighbours._SHRINKAGE)
    # Similarities and, where there is none, numbers of users.
    assert min(np.mean((expected > 0) & (expected < 1)), np.mean(expected >= 1)) > 0.02
    whole = fit_nearest_neighbours(fit_log, "like")
    assert whole.score(part)[:, 0] == pytest.approx(expected)
    monkeypatch.setattr(nearest_neighbours, "_PAIRS", 700)
    pieces = fit_nearest_neighbours(fit_log, "like")
    assert (pieces.score(part) == whole.score(part)).all()


def test_of_a_users_likes_the_newest_make_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    log = shown_log([0, 1, 2, 3, 4], [1.0, 1.0, 1.0, 0.0, 1.0], users=1)
    found = fit_nearest_neighbours(log, "delight")
    assert found.item_id.tolist() == ["i0", "i1", "i2", "i4"]
    monkeypatch.setattr(nearest_neighbours, "_MOST_LIKES", 2)
    assert fit_nearest_neighbours(log, "delight").item_id.tolist() == ["i2", "i4"]


def test_an_entry_that_comes_twice_counts_once_and_a_disliked_one_never() -> None:
    """Of a user without a liked neighbour it is how many users liked the candidate: 2."""
    log = shown_log([0, 0, 1, 1, 2, 3], [1.0, 1.0, 1.0, 1.0, 0.0, 0.0], users=2)
    history = Ragged(np.array([0, 3, 4, 5, 5, 5, 5], np.int64), np.array([0, 0, 2, 0, 5], np.int32))
    value = np.array([1.0, 1.0, 1.0, 0.0, 1.0], np.float32)
    candidates = Ragged(np.arange(7, dtype=np.int64), np.full(6, 1, np.int32))
    decisions = replace(log.decisions.with_history(history, value), candidates=candidates)
    scorer = fit_nearest_neighbours(
        replace(log, decisions=log.decisions.with_history(history, value)),
        "delight",
    )
    # Both users liked both items: the norms are root 2.
    near = 2.0 / (2.0 + nearest_neighbours._SHRINKAGE)
    assert scorer.score(decisions)[:, 0].tolist() == pytest.approx([near, 2, 2, 2, 2, 2])


@pytest.mark.parametrize("name", ["item_mean", "popularity", "recent_popularity"])
@pytest.mark.parametrize("objective", ["like", "rating"])
def test_one_number_an_item_is_that_of_all_decisions(
    name: str, objective: str, fit_log: BanditLog
) -> None:
    """Some users' log with the sums of all is as good as the log of all."""
    users = fit_log.decisions.user.astype(str)
    third = np.array([sum(map(ord, u)) % 3 for u in users])
    # As nights are read: one after the other, some users at a time.
    nights = [fit_log.on_nights([n]) for n in np.unique(fit_log.night).astype(str)]
    parts = [
        log.where(np.isin(log.decisions.user.astype(str), users[third == k]))
        for log in nights
        for k in range(3)
    ]
    sums = ItemSums.of(parts, objective)
    whole = BASELINES[name](fit_log, objective)
    found = BASELINES[name](fit_log.where(third == 0), objective, sums)
    scores = [s.score(fit_log.decisions) for s in (whole, found)]
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-9)
    alone = BASELINES[name](fit_log.where(third == 0), objective).score(fit_log.decisions)
    assert np.abs(alone - scores[0]).max() > 1e-3


def test_all_baselines_are_fitted_to_parts_of_a_longer_log(fit_log: BanditLog) -> None:
    some = fit_log.take(np.arange(0, len(fit_log), 2))
    policies = fit_baselines(some, "like", 0.1, whole=[fit_log])
    one, whole = (
        fit_baselines(log, "like", 0.1)["nearest_neighbours"].scorer for log in (some, fit_log)
    )
    near = policies["nearest_neighbours"].scorer.score(fit_log.decisions)
    assert (near == one.score(fit_log.decisions)).all()
    assert (near != whole.score(fit_log.decisions)).any()
    popular = policies["popularity"].scorer.score(fit_log.decisions)
    assert (popular == fit_popularity(fit_log, "like").score(fit_log.decisions)).all()
