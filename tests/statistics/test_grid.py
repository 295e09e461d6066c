"""The grid's short cut is the library's own interval and verdict, and some of its cells."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from benchmarks.ope import grid
from benchmarks.ope._bounded_cells import FAMILY as SHRUNKEN
from benchmarks.ope._bounded_cells import BoundedCell
from benchmarks.ope._cells import Outcome, outcomes
from benchmarks.ope._fitted import FOLDS
from benchmarks.ope._held_out_cells import HeldOutCell
from benchmarks.ope._mips_cells import CLUSTERS, MIPSCell
from benchmarks.ope._plain_cells import PlainCell, World
from benchmarks.ope._slate_cells import ITEMS, SLOTS, SlateCell, _policies
from benchmarks.ope.grid import BAR, LEVEL, Found, bounded, cells, held_out, measure
from mrlm.ope import (
    ESTIMATORS,
    EvaluationBatch,
    EvaluationState,
    bounded_estimates,
    estimates,
    shrinkage_bounds,
)
from mrlm.ope.embedded import (
    EMBEDDED_ESTIMATORS,
    assumption_gap,
    bounded_scores,
    cluster_weight,
)
from mrlm.ope.propensity import complete
from mrlm.ope.slates import IIPS, PI, SIPS, SlateBatch

SEED = 7


def as_batch(w: World, counts: np.ndarray, folds: int = 1) -> EvaluationBatch:
    """The rows that these counts stand for; user i is in fold i modulo ``folds``."""
    context, place, reward, user = [], [], [], []
    for k, own in enumerate(counts.reshape(folds, -1)):
        number = k
        for t in np.repeat(np.arange(len(own)), own):
            for j in np.flatnonzero(w.count[t]):
                clicks, rows = w.clicks[t, j], w.count[t, j]
                context += [w.context[t]] * rows
                place += [j] * rows
                reward += [1.0] * clicks + [0.0] * (rows - clicks)
                user += [number] * rows
            number += folds
    first = np.concatenate([[0], np.cumsum(w.size)[:-1]])
    n, items = len(user), int(w.size.sum())
    per_item = np.repeat(np.arange(len(w.size)), w.size)
    return EvaluationBatch(
        cluster=np.array(user),
        offsets=np.arange(n + 1) * items,
        target=w.target[context][:, per_item].ravel(),
        shown=np.arange(n) * items + first[place],
        propensity=w.propensity[context, place],
        rewards=np.array(reward)[:, None],
        objectives=("click",),
        q=w.q[context][:, per_item].ravel()[:, None],
        candidate_propensity=w.propensity[context][:, per_item].ravel(),
        policy="target",
    )


def one_log(cell) -> tuple[dict[str, Outcome], np.ndarray]:
    """Outcomes of one log of the cell, and its counts."""
    problem = cell.problem()
    (counts,) = problem.logs(1, SEED)
    return outcomes(problem, 1, SEED, LEVEL), counts[0]


def same_diagnostics(found: Outcome, e, rel: float) -> None:
    (real,) = e.diagnostics
    mine = found.diagnostics[0].to_json()
    for name, value in real.to_json().items():
        if value is None:
            # Estimates do not say what the logger never shows; the verdict is the same.
            assert name == "unsupported_mass" or mine[name] is None, name
        elif name not in ("policy", "objective"):
            assert mine[name] == pytest.approx(value, rel=rel, abs=1e-12), name


def same_estimate(found: Outcome, e, rel: float = 1e-9) -> None:
    ours = [found.value[0], found.lower[0], found.upper[0]]
    assert ours == pytest.approx([e.value, e.lower, e.upper], rel=rel)
    same_diagnostics(found, e, rel)
    assert bool(found.certified[0]) == e.certified


@pytest.mark.parametrize(
    "cell",
    [
        PlainCell(10, 600, 0.1, "far"),
        PlainCell(30, 900, 0.1, "soft"),
        PlainCell(10, 600, 0.1, "near", rows_per_user=3),
        PlainCell(2, 400, 0.2, "sharp", rows_per_user=3),
        HeldOutCell(5, 800, 0.15, "greedy"),
        HeldOutCell(40, 600, 0.03, "popular", rows_per_user=2),
    ],
)
def test_counts_give_what_rows_give(cell):
    found, counts = one_log(cell)
    batch = as_batch(cell.world(), counts)
    for name, outcome in found.items():
        state = EvaluationState.of(ESTIMATORS[name](batch))
        same_estimate(outcome, estimates(state, LEVEL)["click"])
        bare = EvaluationState.of(ESTIMATORS[name](replace(batch, candidate_propensity=None)))
        assert bool(outcome.without_candidates[0]) == estimates(bare)["click"].certified


def test_estimated_propensities_are_those_of_the_library():
    """Its optimisers stop at a tolerance, ours at rounding: equal to one part in ten thousand."""
    cell = PlainCell(10, 503, 0.1, "near", propensity="estimated")
    found, counts = one_log(cell)
    w = cell.world()
    batch = as_batch(w, counts, FOLDS)
    context = (batch.candidate_propensity.reshape(-1, 10)[:, 0] != w.propensity[0, 0]).astype(int)
    completed = complete(
        batch,
        np.ones(len(batch), bool),
        np.empty((len(batch.target), 0)),
        (10 * context[:, None] + np.arange(10)).ravel(),
        no_hidden_confounding=True,
        draws=2,
    )
    for name, outcome in found.items():
        state = EvaluationState.of(completed.scores(ESTIMATORS[name]))
        same_estimate(outcome, estimates(state, LEVEL)["click"], rel=1e-4)


@pytest.mark.parametrize("direct", [0.0, 0.25])
def test_mips_counts_give_what_rows_give(direct):
    cell = MIPSCell(30, 700, 0.1, "far", direct)
    found, counts = one_log(cell)
    w = cell.world()
    batch = as_batch(w, counts)
    per_item = np.repeat(np.arange(len(w.size)), w.size)
    code = np.tile(per_item % CLUSTERS, len(batch))
    marginal = cluster_weight(batch, code)
    for name in ("mips", "snmips"):
        state = EvaluationState.of(EMBEDDED_ESTIMATORS[name](batch, marginal))
        same_estimate(found[name], estimates(state, LEVEL)["click"])
    scores = EMBEDDED_ESTIMATORS["mips"](batch, marginal)
    ends = bounded_scores(scores, assumption_gap(batch, code), np.array([direct * cell.rate]))
    e = bounded_estimates(*(EvaluationState.of(s) for s in ends), LEVEL)["click"]
    ours = found["mips, bounded"]
    assert [ours.lower[0], ours.upper[0]] == pytest.approx([e.lower, e.upper], rel=1e-9)
    assert bool(ours.certified[0]) == e.certified


def test_bounded_counts_give_what_rows_give():
    cell = BoundedCell(30, 700, 0.1, "soft")
    found, counts = one_log(cell)
    batch = as_batch(PlainCell(30, 700, 0.1, "soft").world(), counts)
    for member in SHRUNKEN:
        ends = shrinkage_bounds(member, batch, np.zeros(1), np.ones(1))
        states = [EvaluationState.of(s) for s in ends]
        e = bounded_estimates(*states, LEVEL)["click"]
        ours = found[f"{member.name}, bounded"]
        assert [ours.lower[0], ours.upper[0]] == pytest.approx([e.lower, e.upper], rel=1e-9)
        assert bool(ours.certified[0]) == e.certified
        low = estimates(states[0], LEVEL)["click"]
        same_diagnostics(ours, low, 1e-9)


@pytest.mark.parametrize("holds", [True, False])
def test_slate_counts_give_what_rows_give(holds):
    cell = SlateCell(400, 0.2, "far", holds)
    found, counts = one_log(cell)
    logger, target = _policies("far")
    lists = list(product(range(ITEMS), repeat=SLOTS))
    types = [
        (s, items, clicks)
        for s in range(len(logger))
        for items in lists
        for clicks in product((0.0, 1.0), repeat=SLOTS)
    ]
    drawn = [types[t] for t in np.repeat(np.arange(len(types)), counts)]
    place = np.arange(SLOTS)
    batch = SlateBatch(
        cluster=np.arange(len(drawn)),
        offsets=np.arange(len(drawn) + 1) * SLOTS,
        propensity=np.concatenate([logger[s, place, list(a)] for s, a, _ in drawn]),
        target=np.concatenate([target[s, place, list(a)] for s, a, _ in drawn]),
        rewards=np.concatenate([r for _, _, r in drawn])[:, None],
        objectives=("click",),
        kind="independent",
        policy="target",
    )
    members = [SIPS(), SIPS(True), IIPS(False, holds), IIPS(True, holds), PI(False, holds)]
    for member in [*members, PI(True, holds)]:
        state = EvaluationState.of(member(batch))
        same_estimate(found[member.name], estimates(state, LEVEL)["click"])


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        (PlainCell(10, 2000, 0.1, "far"), ("ips", "dr")),
        (PlainCell(10, 900, 0.1, "near", rows_per_user=3), ("ips", "dr")),
        (HeldOutCell(40, 800, 0.15, "boltzmann"), ("ips", "dr")),
        (MIPSCell(100, 800, 0.1, "far", 0.0), ("mips",)),
        (SlateCell(500, 0.1, "near", True), ("sips", "iips", "pi")),
        (SlateCell(500, 0.1, "near", False), ("sips",)),
    ],
)
def test_the_truth_is_that_of_the_world(cell, names):
    """The mean of an unbiased estimate over 4000 logs: beyond 4 standard errors with p < .0001."""
    problem = cell.problem()
    found = outcomes(problem, 4000, 1, LEVEL)
    for name in names:
        value = found[name].value
        gap = value.mean() - problem.truth
        assert abs(gap) < 4 * value.std() / np.sqrt(4000)


def test_the_grid_is_as_large_as_it_says():
    for whole in (cells(), bounded(), held_out()):
        assert len({c.key for c in whole}) == len(whole)
    plain = [c for c in cells() if isinstance(c, PlainCell)]
    assert 3 * len(plain) >= 200
    assert {c.items for c in plain} >= {2, 10_000}
    assert {c.rows for c in plain} >= {500, 1_000_000}
    kinds = {type(c) for c in cells()}
    assert kinds == {PlainCell, MIPSCell, SlateCell}
    assert not {c.key for c in cells()} & {c.key for c in held_out()}


@pytest.mark.statistics
@pytest.mark.parametrize(
    "cell",
    [
        PlainCell(100, 2000, 0.2, "far"),
        PlainCell(100, 500, 0.2, "near"),
        PlainCell(100, 10_000, 0.05, "far"),
        PlainCell(10, 2000, 0.05, "sharp"),
        PlainCell(100, 100_000, 0.001, "soft"),
        PlainCell(1000, 10_000, 0.1, "far", propensity="estimated"),
        MIPSCell(10_000, 10_000, 0.2, "soft", 0.25),
        SlateCell(10_000, 0.1, "sharp", False),
    ],
)
def test_hard_cells_are_covered(cell):
    """Certified intervals cover at least .94 less 3.5 standard errors: fails with p < .0003."""
    for found in measure(cell, 3000, ""):
        if found.certified:
            slack = 3.5 * np.sqrt(BAR * (1 - BAR) / found.certified)
            assert found.coverage >= BAR - slack
        if found.supported and found.bounded:
            assert found.certified >= 0.9 * found.number
        assert found.bounded or not found.certified


def test_a_log_that_is_lucky_in_its_weights_is_not_certified():
    """The propensities let one expect 88 effective rounds; 1 log of 100 shows more than 150."""
    for found in measure(PlainCell(100, 500, 0.2, "far"), 3000, ""):
        assert found.certified == 0
        assert found.without > 0


def test_a_cell_that_undercovers_is_seen():
    """What a row of the benchmark says of a bad cell."""
    bad = Found("x", "ips", 10_000, 90, 80, 10, 9000, 95, 84, True, 100.0, 300.0, "")
    assert bad.supported
    assert bad.coverage < BAR
    assert bad.tolerance == 0.0
    assert replace(bad, number=2000).tolerance > 0


def test_finished_cells_are_kept_and_half_written_lines_left_aside(tmp_path, monkeypatch):
    monkeypatch.setenv(grid.KEEP, str(tmp_path / "kept.jsonl"))
    chosen = [PlainCell(2, 500, 0.05, "near")]
    (first,) = grid._kept(chosen, True)
    with (tmp_path / "kept.jsonl").open("a") as file:
        file.write('[{"cell": "half')
    monkeypatch.setattr(grid, "measure", None)
    assert list(grid._kept(chosen, True)) == [first]


def test_expected_numbers_of_a_plain_cell():
    """A sharp target: its effective users with a reward are the expected clicks on its items."""
    problem = PlainCell(10, 10_000, 0.05, "sharp").problem()
    nonzero, effective = problem.expected("ips")
    assert effective == pytest.approx(1000)
    assert nonzero == pytest.approx(1000 * problem.truth)
