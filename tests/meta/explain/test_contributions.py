from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.meta.explain.contributions import EVERYWHERE, FLOOR, LESS_CHAMPION, explained_lifts
from mrlm.meta.problem.paired_lift import PairedLift
from mrlm.meta.problem.tuned_softmax import TunedSoftmax

POINT = np.array([0.4, 3.0, 1.0, 0.0, 0.5])


def star_lift(problem):
    policy = TunedSoftmax(problem)
    return PairedLift(problem, policy, problem.rewards[:, 0], problem.q[:, 0], "delight")


@pytest.mark.parametrize("clip", [1.5, 10.0])
@pytest.mark.parametrize("point", [POINT, np.array([0.0, 40.0, 0.0, 9.0, 0.0])])
def test_contributions_sum_to_the_lift_everywhere_and_in_every_scene(make_problem, clip, point):
    problem, _ = make_problem(clip=clip)
    scene = np.array(["home", "search", "mail"], object)[np.arange(1500) % 3]
    found = explained_lifts(problem, point, scene=scene, z=2.0)
    assert [f.group for f in found] == [EVERYWHERE, "home", "mail", "search"]
    for of in found:
        assert sum(c.value for c in of.contributions) == pytest.approx(of.lift.value, abs=1e-12)
    whole, *scenes = found
    known = star_lift(problem).lift(point, 2.0)
    assert whole.lift.value == pytest.approx(known.value, abs=1e-12)
    assert whole.lift.standard_error == pytest.approx(known.standard_error, rel=1e-9)
    assert whole.lift.lower == pytest.approx(known.lower, abs=1e-12)
    assert whole.rounds == sum(s.rounds for s in scenes)
    for of_all in whole.contributions:
        parts = [
            (s.rounds, c.value)
            for s in scenes
            for c in s.contributions
            if c.source == of_all.source
        ]
        mean = sum(n * v for n, v in parts) / whole.rounds
        assert mean == pytest.approx(of_all.value, abs=1e-12)


def test_contributions_are_the_integral_of_the_gradient(make_problem):
    """By finite differences at 400 places of the line, where nothing is clipped."""
    problem, _ = make_problem(n=400, clip=1e6)
    lift = star_lift(problem)
    start = np.array([1.0, 0.0, 0.0, 0.0, 0.0])
    step, small, wanted = POINT - start, 1e-5, np.zeros(5)
    for t in (np.arange(400) + 0.5) / 400:
        at = start + t * step
        for j in np.flatnonzero(step):
            e = np.eye(5)[j] * small
            rise = lift.lift(at + e, 0.0).value - lift.lift(at - e, 0.0).value
            wanted[j] += step[j] * rise / (2 * small) / 400
    (found,) = explained_lifts(problem, POINT)
    value = {c.source: c.value for c in found.contributions}
    named = [value[s] for s in (LESS_CHAMPION, "delight", "diversity", "head_2", "head_3")]
    assert found.unresolved < 1e-6
    assert named == pytest.approx(wanted, abs=2e-6)
    assert value["head_2"] == 0.0


def test_errors_of_contributions_are_clustered_by_user(make_problem):
    """One source alone has the error of the lift itself."""
    problem, _ = make_problem()
    point = np.array([1.0, 2.0, 0.0, 0.0, 0.0])
    (found,) = explained_lifts(problem, point)
    by = {c.source: c for c in found.contributions}
    assert by["delight"].standard_error == pytest.approx(found.lift.standard_error, rel=1e-9)
    assert by["diversity"].standard_error == 0.0
    assert LESS_CHAMPION not in by


def test_rounds_count_as_the_lift_counts_them(make_problem):
    problem, _ = make_problem()
    age = np.arange(1500) % 3
    problem = replace(problem, age=age).decayed(1.0)
    scene = np.where(age == 0, "new", "old").astype(object)
    whole, new, old = explained_lifts(problem, POINT, scene=scene, z=2.0)
    known = star_lift(problem).lift(POINT, 2.0)
    assert whole.lift.value == pytest.approx(known.value, abs=1e-12)
    assert whole.lift.standard_error == pytest.approx(known.standard_error, rel=1e-9)
    for of in (whole, new, old):
        assert sum(c.value for c in of.contributions) == pytest.approx(of.lift.value, abs=1e-12)
    size = [problem.weight[star_lift(problem).used & (scene == s)].sum() for s in ("new", "old")]
    mean = np.average([new.lift.value, old.lift.value], weights=size)
    assert mean == pytest.approx(whole.lift.value, abs=1e-12)


def test_the_champion_has_nothing_to_explain(make_problem):
    problem, _ = make_problem()
    (found,) = explained_lifts(problem, np.array([1.0, 0.0, 0.0, 0.0, 0.0]), "diversity")
    assert abs(found.lift.value) < 1e-15
    assert all(c.value == 0.0 for c in found.contributions if c.source != FLOOR)
    assert found.unresolved == 0.0


def test_another_floor_than_the_champions_is_a_source(make_problem):
    problem, _ = make_problem(champion_from_anchor=False)
    (found,) = explained_lifts(problem, POINT)
    by = {c.source: c.value for c in found.contributions}
    assert by[FLOOR] != 0.0
    assert sum(by.values()) == pytest.approx(found.lift.value, abs=1e-12)


def test_a_scene_of_one_user_is_not_told(make_problem):
    problem, _ = make_problem()
    scene = np.where(problem.cluster == problem.cluster[0], "one", "others").astype(object)
    found = explained_lifts(problem, POINT, scene=scene)
    assert [f.group for f in found] == [EVERYWHERE, "others"]
    with pytest.raises(ValueError, match="no objective 'dwell'"):
        explained_lifts(problem, POINT, "dwell")


def test_a_scene_with_a_point_of_its_own_is_explained_by_it(make_problem):
    problem, _ = make_problem()
    scene = np.array(["home", "search", "mail"], object)[np.arange(1500) % 3]
    own = np.array([0.9, 0.0, 2.0, 0.0, 0.0])
    mixed = explained_lifts(problem, POINT, scene=scene, elsewhere=[(scene == "home", own)])
    common, home = (explained_lifts(problem, p, scene=scene) for p in (POINT, own))
    by_group = {of.group: of for of in mixed}
    value = {c.source: c.value for c in by_group["home"].contributions}
    assert value == pytest.approx({c.source: c.value for c in home[1].contributions})
    for of in common[2:]:
        assert by_group[of.group].lift == of.lift
    whole = by_group[EVERYWHERE]
    assert sum(c.value for c in whole.contributions) == pytest.approx(whole.lift.value, abs=1e-12)
    assert whole.lift.value != pytest.approx(common[0].lift.value, abs=1e-4)
