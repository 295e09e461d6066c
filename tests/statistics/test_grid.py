"""The grid's short cut is the library's own interval and verdict, and some of its cells."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.ope._cells import Cell, repetitions, world
from benchmarks.ope.grid import BAR, LEVEL, Found, cells, expected, measure
from mrlm.ope import ESTIMATORS, EvaluationBatch, EvaluationState, estimates
from mrlm.ope.certify import Thresholds, certify
from mrlm.ope.intervals.student import degrees_of_freedom, ends_of


def as_batch(cell: Cell, seed: int) -> EvaluationBatch:
    """The rows that the first counts of a cell stand for."""
    w = world(cell)
    counts = np.random.default_rng(seed).multinomial(cell.rows // cell.rows_per_user, w.probability)
    context, place, reward, user = [], [], [], []
    number = 0
    for t in np.flatnonzero(counts):
        for _ in range(counts[t]):
            for j in np.flatnonzero(w.count[t]):
                clicks, rows = w.clicks[t, j], w.count[t, j]
                context += [w.context[t]] * rows
                place += [j] * rows
                reward += [1.0] * clicks + [0.0] * (rows - clicks)
                user += [number] * rows
            number += 1
    first = np.concatenate([[0], np.cumsum(w.size)[:-1]])
    n = len(user)
    per_item = np.repeat(np.arange(len(w.size)), w.size)
    return EvaluationBatch(
        cluster=np.array(user),
        offsets=np.arange(n + 1) * cell.items,
        target=w.target[context][:, per_item].ravel(),
        shown=np.arange(n) * cell.items + first[place],
        propensity=w.propensity[context, place],
        rewards=np.array(reward)[:, None],
        objectives=("click",),
        q=w.q[context][:, per_item].ravel()[:, None],
        candidate_propensity=w.propensity[context][:, per_item].ravel(),
        policy="target",
    )


@pytest.mark.parametrize(
    "cell",
    [
        Cell(10, 600, 0.1, "far"),
        Cell(30, 900, 0.1, "soft"),
        Cell(10, 600, 0.1, "near", rows_per_user=3),
        Cell(2, 400, 0.2, "sharp", rows_per_user=3),
    ],
)
def test_counts_give_what_rows_give(cell):
    batch = as_batch(cell, 7)
    found = repetitions(cell, 1, 7)
    for name, run in found.items():
        e = estimates(EvaluationState.of(ESTIMATORS[name](batch)), LEVEL)["click"]
        m, d = run.moments, run.diagnostics[0]
        freedom = degrees_of_freedom(m, d.tail_nonzero)
        lower, upper = ends_of(run.value, m.standard_error, freedom, m.skewness, (1 + LEVEL) / 2)
        ours = [run.value[0], m.standard_error[0], freedom[0], lower[0], upper[0]]
        theirs = [e.value, e.standard_error, e.degrees_of_freedom, e.lower, e.upper]
        assert ours == pytest.approx(theirs, rel=1e-9)
        (real,) = e.diagnostics
        assert list(d.to_json().values())[2:] == pytest.approx(
            list(real.to_json().values())[2:], rel=1e-9, abs=1e-12
        )
        verdict = certify(name, True, (d,), Thresholds()).certified
        assert verdict == e.certified


def test_the_truth_is_that_of_the_world():
    """The mean of an unbiased estimate over 4000 logs: beyond 4 standard errors with p < .0001."""
    for cell in (Cell(10, 2000, 0.1, "far"), Cell(10, 900, 0.1, "near", rows_per_user=3)):
        for name in ("ips", "dr"):
            value = repetitions(cell, 4000, 1)[name].value
            gap = value.mean() - world(cell).truth
            assert abs(gap) < 4 * value.std() / np.sqrt(4000)


def test_the_grid_is_as_large_as_it_says():
    all_cells = cells()
    assert len({c.key for c in all_cells}) == len(all_cells)
    assert 3 * len(all_cells) >= 200
    assert {c.items for c in all_cells} >= {2, 10_000}
    assert {c.rows for c in all_cells} >= {500, 1_000_000}


@pytest.mark.statistics
@pytest.mark.parametrize(
    "cell",
    [
        Cell(100, 2000, 0.2, "far"),
        Cell(100, 500, 0.2, "near"),
        Cell(100, 10_000, 0.05, "far"),
        Cell(10, 2000, 0.05, "sharp"),
        Cell(100, 100_000, 0.001, "soft"),
    ],
)
def test_hard_cells_are_covered(cell):
    """Certified intervals cover at least .94 less 3.5 standard errors: fails with p < .0003."""
    for found in measure(cell, 3000, ""):
        if found.certified:
            slack = 3.5 * np.sqrt(BAR * (1 - BAR) / found.certified)
            assert found.coverage >= BAR - slack
        if found.supported:
            assert found.certified >= 0.9 * found.number


def test_a_cell_that_undercovers_is_seen():
    """What a row of the benchmark says of a bad cell."""
    bad = Found("x", "ips", 10_000, 9000, 8000, 1000, 100.0, 300.0, "")
    assert bad.supported
    assert bad.coverage < BAR
    assert bad.tolerance == 0.0
    assert Found("x", "ips", 2000, 1000, 1000, 0, 1.0, 300.0, "").tolerance > 0


def test_expected_numbers_of_a_plain_cell():
    """A sharp target: its effective users with a reward are the expected clicks on its items."""
    cell = Cell(10, 10_000, 0.05, "sharp")
    w = world(cell)
    nonzero, effective = expected(cell, w)
    assert effective == pytest.approx(1000)
    assert nonzero == pytest.approx(1000 * w.truth)
