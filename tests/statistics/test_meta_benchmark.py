"""The smallest form of what the benchmark of the meta-update measures."""

from __future__ import annotations

import importlib
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import meta
from benchmarks.learners.challenger import logger_policy
from benchmarks.meta import (
    change_point,
    delay,
    drift,
    gradients,
    long_term,
    nothing_to_gain,
    placebo,
    power,
    ratings,
    seeded_search,
    segments,
    static,
)
from benchmarks.meta._worlds import loop
from benchmarks.meta._worlds.night import equal_policy, fitted, problem_of
from benchmarks.meta._worlds.world import LEAST_ENTROPY, drifting_world, judge_of, static_world
from mrlm.bandit_log import BanditLog
from mrlm.meta.strategies.registry import STRATEGIES


@pytest.mark.parametrize("name", meta.parts())
def test_a_part_can_be_run(name: str) -> None:
    assert callable(importlib.import_module(f"benchmarks.meta.{name}").run)


def test_every_gradient_is_exact() -> None:
    rows = gradients.run(quick=True)
    assert all(row.holds for row in rows)
    assert len(rows) >= 7


def test_every_strategy_is_a_rival() -> None:
    assert {name for name, _ in drift.RIVALS.values()} | {drift.OURS} == set(STRATEGIES)


def test_regret_is_0_for_the_best_and_1_for_equal_weights() -> None:
    judge = judge_of("drifting", 0, 3)
    best = judge.best([5])
    assert judge.of_weights(best, 5) > judge.of_weights(judge.equal, 5)
    fixed = judge.best(range(10))
    assert judge.of_weights(fixed, 5) < judge.of_weights(best, 5)


def test_a_loop_learns_and_is_the_same_again() -> None:
    world = drifting_world(0, 3, 1.0)
    settings = drift.settings_of(drift.OURS, reset=True)
    first, again = (
        loop.nights_of(world, settings, nights=4, rows=400, window=3, seed=0) for _ in range(2)
    )
    np.testing.assert_array_equal(first.policies, again.policies)
    assert len(first.seconds) == 4
    judge = judge_of("drifting", 0, 3)
    value = [judge.of_policy(policy, 3) for policy in first.policies]
    assert value[-1] > value[0]


def test_a_static_cell_tells_every_strategy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static, "ROWS", 1500)
    found = static.cell(0)
    assert set(found) == {*STRATEGIES, static.HEADS}
    assert found[static.HEADS] <= min(found[name] for name in STRATEGIES) + 1e-3
    assert found["fixed_weights"] == pytest.approx(1.0, abs=0.3)
    assert found[static.OURS] < found["fixed_weights"]


def test_an_abrupt_change_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        drift, "SIGNALS", {"loud": drift.Signal(rows=1500, noise=0.5, regret=0, of_fixed=0)}
    )
    monkeypatch.setattr(change_point, "SIGNALS", drift.SIGNALS)
    monkeypatch.setattr(change_point, "WINDOW", 3)
    found = change_point.cell("loud", 0)
    assert len(found["quiet"]) == change_point.QUIET
    assert any(found["change"])


def test_the_optimal_policy_of_the_null_world_leaves_nothing() -> None:
    world, judge = static_world(0, 3, 1.0), judge_of("static", 0, 3)
    champion = nothing_to_gain.optimal(world)
    value = judge.of_policy(champion, 0)
    for seed in range(20):
        other = champion + np.random.default_rng(seed).standard_normal(25) * 5
        assert judge.of_policy(other, 0) < value + 0.01


def test_cells_of_thin_worlds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nothing_to_gain, "SIZES", ((300, 8.0),))
    monkeypatch.setattr(power, "ROWS", 600)
    monkeypatch.setattr(placebo, "ROWS", 300)
    assert set(nothing_to_gain.cell(0)) == {"ours", "uncorrected", "own head"}
    assert set(power.cell(0)) == {"ours", "split"}
    assert set(placebo.cell(0)) == {"ours", "own head", "uncorrected"}


def test_a_late_north_star_is_estimated_in_every_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delay, "_CONTEXTS", delay._AT_ONCE)
    delay.asked.cache_clear()
    found = delay.cell(0)
    delay.asked.cache_clear()
    assert set(found) == set(delay.WORLDS)
    for told in found.values():
        assert 0 <= told["share"] <= 1
        assert abs(told["ours"]) < 0.5
    assert found["good"]["share"] > found["useless"]["share"]


def test_segments_are_served_by_what_they_want(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "CELLS", {"small": segments.Cell(6000, 2.0, 0.4)})
    monkeypatch.setattr(segments, "segmented", partial(segments.segmented, segments=8, unseen=2))
    found = segments.cell("small", 0)
    assert set(found) >= {"ours", "pooled", "independent", "plug-in", "ours, new", "pooled, new"}
    assert found["ours"] < found["pooled"]


def test_nights_that_look_ahead_close_the_gap_and_others_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(long_term, "NIGHTS", 2)
    monkeypatch.setattr(long_term, "MODELS", 5)
    found = long_term.cell(0)
    assert found[long_term.OURS][-1] > 0.5 > 0.1 > found[long_term.MYOPIC][-1]
    assert found[long_term.RETURN][-1] > 0.2
    assert all(row.holds for row in (*long_term._exact_rows(), *long_term._hub_rows()))


def test_nothing_of_a_north_star_is_read_before_it_has_arrived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    size = ratings.Size(nights=ratings.FIRST + 1, users=30)
    world, given = ratings.world_of(0, size), {}
    shown = [world.show(logger_policy()) for _ in range(size.nights)]
    nights = np.array([s.log.night[0] for s in shown])
    star = shown[0].log.column("delight")

    def fit(log: BanditLog, *_: object) -> None:
        given["fit"] = log

    def tuned(log: BanditLog, *_: object, nights: list[str], **__: object) -> SimpleNamespace:
        given["tune"] = log
        assert nights == np.unique(log.night).astype(str).tolist()
        kept = SimpleNamespace(moved=False)
        return SimpleNamespace(policy=None, update=SimpleNamespace(state=None), result=kept)

    monkeypatch.setattr(ratings, "fit_reward_model", fit)
    monkeypatch.setattr(ratings, "tuned_night", tuned)
    seen = ratings.Seen(shown)
    ratings.MetaUpdated().after(seen)
    given["item mean"] = seen.known()
    for name, expected in (("fit", nights[:2]), ("tune", nights[2:]), ("item mean", nights[:4])):
        log = given[name]
        assert np.unique(log.night).tolist() == expected.tolist()
        late = np.isin(log.night, nights[-ratings.DELAY :])
        np.testing.assert_array_equal(np.isnan(log.rewards[:, star]), late)
        np.testing.assert_array_equal(log.final[:, star], ~late)
        assert np.isfinite(np.delete(log.rewards, star, axis=1)).all()
    # The newest known night is one that has just arrived.
    assert not ratings.Seen(shown[: ratings.LEAST_FIT + ratings.TUNE + ratings.DELAY - 1]).enough


def test_loops_of_real_ratings_differ_by_what_serves_alone() -> None:
    size = ratings.Size(nights=ratings.FIRST + 2, users=30)
    first, again = (
        ratings.life(ratings.SERVERS[ratings.ITEM_MEAN], 0, size)["value"] for _ in range(2)
    )
    logger = ratings.life(ratings.Logger, 0, size)["value"]
    assert first == again
    assert first[: ratings.FIRST] == logger[: ratings.FIRST]
    assert first[ratings.FIRST] != logger[ratings.FIRST]
    assert logger != ratings.life(ratings.Logger, 1, size)["value"]


def test_users_exchange_outcomes_whole() -> None:
    world, rng = static_world(0, 3, 1.0), np.random.default_rng(0)
    log = world.log(301, None, 0, rng)
    other = placebo.exchanged(log, rng)
    assert sorted(other.north_star) == sorted(log.north_star)
    assert np.mean(other.north_star == log.north_star) < 0.1
    by_user = {tuple(log.north_star[log.user == u]) for u in range(101)}
    assert {tuple(other.north_star[other.user == u]) for u in range(101)} == by_user


def test_heads_of_a_long_log_are_the_bilinear_parts() -> None:
    world, rng = static_world(0, 3, 1.0), np.random.default_rng(0)
    log = world.log(20_000, None, 0, rng)
    heads = fitted([log])
    straight = world.straight(log.pair)
    for j in range(3):
        found = np.corrcoef(log.pair @ heads.coefficients[:, j], straight[:, j])[0, 1]
        assert found > 0.97
    # Cross-fitted, and by the heads themselves, one problem says nearly the same.
    champion = equal_policy(heads)
    own, given = problem_of(world, [log], champion), problem_of(world, [log], champion, heads)
    assert np.corrcoef(own.q[:, -1], given.q[:, -1])[0, 1] > 0.98
    assert own.columns == ("objective_1", "objective_2", "objective_3")
    assert LEAST_ENTROPY < 1


def planted_task(seed: int) -> dict[str, object]:
    """Short half-lives are best where it drifts, long ones elsewhere; scores are noisy."""
    rng = np.random.default_rng(seed)
    space = seeded_search.SPACE
    half_life = space.coordinates(space.settings())[:, 0]
    drift = float(rng.choice([1.0, 6.0]))
    truth = 1 - np.abs(half_life - (drift > 2)) - 0.03 * rng.random(len(half_life))
    trials = [
        {"setting": space.named(s), "difference": score, "standard_error": 0.2, "nights": 1}
        for s, score in zip(
            space.settings(), truth + 0.2 * rng.standard_normal(len(truth)), strict=True
        )
    ]
    conditions = {"drift": drift, "density": 0.5, "size": 1000}
    return {"conditions": conditions, "trials": trials, "truth": truth.tolist()}


def test_a_search_that_is_seeded_by_other_tasks_needs_fewer_trials() -> None:
    tasks = [planted_task(seed) for seed in range(12)]
    median, mean = seeded_search.rows_of(tasks)
    assert mean.ours < mean.peer / 2
    assert median.ours < median.peer / 2
    # What others' records say against their own truth misleads.
    lied = [{**t, "truth": [-x for x in t["truth"]]} for t in tasks]  # type: ignore[attr-defined]
    assert seeded_search.rows_of(lied)[1].ours > mean.ours
