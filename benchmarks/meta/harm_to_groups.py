"""A group that a gain for all would harm: refused at the gate, or seen by the search before.

8 objectives, a champion of equal weights, two logs of 3,000 decisions with noise 8: one is searched
and the other judges by the gate's own rule for groups (``group_checks``). Scenes, positions and
histories have the shares of ``promotion.harm``. One group in the middle wants less of an objective
that the free step raises, the others of its kind so much more that the mean over all is what it
was: at the free step of the twin world, where nobody differs, the group truly loses four standard
errors of its own difference on the judging log. The same search runs without groups (*free*), as a
night does, and as lenient as the gate itself, which asks that no group is shown to be harmed. What
is refused lifts by 0; the lift of all is that of the twin, whose truth is known on fresh contexts.

200 runs; quick: 20. A run whose free step is no step has nothing to plant and is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from benchmarks.meta._finished import short_runs
from benchmarks.meta._worlds.night import Floats, Heads, equal_policy, fitted, problem_of
from benchmarks.meta._worlds.world import LEAST_ENTROPY, RICH, Judge, judge_of, static_world
from benchmarks.promotion._rules import BLANK, RULE
from benchmarks.promotion._worlds import REWARD
from benchmarks.promotion.harm import SHARES, estimate_of
from benchmarks.rows import Row
from mrlm.evidence.groups import GroupDifference
from mrlm.meta.problem.judged_groups import JudgedGroups, search_z
from mrlm.meta.problem.tuning_problem import TuningProblem
from mrlm.meta.search.tuning_task import TuningTask
from mrlm.meta.settings import TuningSettings
from mrlm.meta.tune import tune
from mrlm.promotion.judgement.group_harm import group_checks
from mrlm.worlds.weighing import WeighingLog, WeighingWorld, softmax_with_floor

OBJECTIVES, ROWS, NOISE, HARM = 8, 3000, 8.0, 4.0
# Scenes where groups are many and small.
MANY = 30
RUNS, QUICK_RUNS = 200, 20
REFUSED, TWINS_KEEP = 0.75, 0.97
SETTINGS = TuningSettings(least_entropy=LEAST_ENTROPY)
NAMES = tuple((kind, str(name)) for kind, shares in SHARES.items() for name in range(len(shares)))
# Standard errors that a group's lift is raised by in the search; None knows no group.
WAYS = {
    "free": None,
    "ours": search_z(RULE.group_error, len(NAMES)),
    "lenient": float(ndtri(1 - RULE.group_error / len(NAMES))),
}
# Of the objectives that the free step raises by so much of the most raised, one is planted.
_CANDIDATES, _RAISED = 3, 0.4


@dataclass(frozen=True)
class Night:
    """A log as a problem, and the groups of its decisions, codes of shape (n, 3)."""

    log: WeighingLog
    problem: TuningProblem
    code: NDArray[np.int64]

    @classmethod
    def of(
        cls, world: WeighingWorld, champion: Floats, heads: Heads, rng: np.random.Generator
    ) -> Night:
        """Of a champion's log; what a user has done before is the user's own."""
        log = world.log(ROWS, champion, 0, rng)
        scene, position = (rng.choice(len(s), ROWS, p=s) for s in _shares("scene", "position"))
        (known,) = _shares("history")
        history = rng.choice(len(known), int(log.user.max()) + 1, p=known)[log.user]
        code = np.column_stack([scene, 4 + position, 7 + history])
        return cls(log, problem_of(world, [log], champion, heads), code)

    def planted(self, world: WeighingWorld, harm: Harm) -> TuningProblem:
        """The problem where the group wants less of the objective, and the others of its kind more.

        Of the objective's bilinear part, which a model of the pairs can say.
        """
        wanted = world.straight(self.log.pair[self.log.shown])[:, harm.objective]
        own = (self.code == harm.group).any(axis=1)
        rewards = self.problem.rewards.copy()
        rewards[:, -1] -= harm.size * np.where(own, 1.0, -harm.share / (1 - harm.share)) * wanted
        return replace(self.problem, rewards=rewards)

    def refused(self, problem: TuningProblem, point: Floats) -> bool:
        """Whether the gate's rule for groups refuses a point."""
        rounds = TuningTask.of(problem, SETTINGS).known.rounds(point)
        groups = []
        for g, (kind, name) in enumerate(NAMES):
            among = (self.code == g).any(axis=1)
            found = estimate_of(problem.cluster, rounds, among, RULE.level)
            groups.append(GroupDifference(kind, name, int(among.sum()), 0, {REWARD: found}))
        (check,) = group_checks(replace(BLANK, groups=tuple(groups)), RULE)
        return not check.passed


@dataclass(frozen=True)
class Harm:
    """A group of that share of the rows that wants ``size`` less of an objective."""

    group: int
    share: float
    objective: int
    size: float


def run(quick: bool) -> list[Row]:
    """Refusals and lifts of the search with groups and without, where one is harmed and none."""
    cells = short_runs(__name__, cell, QUICK_RUNS if quick else RUNS)
    return _rows([c for c in cells if c["moved"]])


def _rows(cells: list[dict[str, float]]) -> list[Row]:
    def mean(name: str, told: str) -> float:
        return float(np.mean([c[f"{name}: {told}"] for c in cells]))

    note = (
        f"peer: the search without groups; {len(cells)} runs, {len(NAMES)} groups, a planted loss "
        f"of {HARM:g} standard errors, the gate's error {RULE.group_error:g}"
    )
    lenient, harmed = f"as lenient as the gate: {{:.3g}}; {note}", "a group that a step would harm"
    refused, lift, group = (
        [mean(f"harmed, {way}", told) for way in WAYS] for told in ("refused", "lift", "group")
    )
    twin = [mean(f"twin, {way}", "lift") for way in WAYS]
    many = [mean(name, "lift") for name in ("many", "many, free")]
    return [
        Row(
            f"{harmed}: refused at the gate for a group",
            refused[1],
            refused[0],
            bar=f"<= {REFUSED:g} x",
            holds=refused[1] <= REFUSED * refused[0],
            note=lenient.format(refused[2]),
        ),
        Row(
            f"{harmed}: mean true lift of all, refused runs 0",
            lift[1],
            lift[0],
            bar=">= 1 x",
            holds=lift[1] >= lift[0],
            note=lenient.format(lift[2]),
        ),
        Row(
            f"{harmed}: true lift of the group, as proposed",
            group[1],
            group[0],
            note=lenient.format(group[2]),
        ),
        Row(
            "no group differs: mean true lift of all, refused runs 0",
            twin[1],
            twin[0],
            bar=f">= {TWINS_KEEP:g} x",
            holds=twin[1] >= TWINS_KEEP * twin[0],
            note=lenient.format(twin[2]),
        ),
        Row(
            f"no group differs, {MANY} scenes: mean true lift of all, as proposed",
            many[0],
            many[1],
            bar=f">= {TWINS_KEEP:g} x",
            holds=many[0] >= TWINS_KEEP * many[1],
            note=note,
        ),
    ]


def cell(seed: int) -> dict[str, float]:
    """Refused, and true lifts, of the harmed world and its twin; nothing where no step is found."""
    world, judge = static_world(seed, OBJECTIVES, NOISE, RICH), judge_of("rich", seed, OBJECTIVES)
    rng = np.random.default_rng([seed, 18])
    heads = fitted([world.log(ROWS, None, 0, rng)])
    champion = equal_policy(heads)
    searched, judging = (Night.of(world, champion, heads, rng) for _ in range(2))
    free = tune(searched.problem, SETTINGS)
    if not free.moved:
        return {"moved": 0.0}
    harm = _harm(free.point, _lifts(judge, heads, champion, free.point), judging, rng)
    found = {"moved": 1.0}
    for kind, own, other in (
        ("twin", searched.problem, judging.problem),
        ("harmed", searched.planted(world, harm), judging.planted(world, harm)),
    ):
        for way, z in WAYS.items():
            judged = None if z is None else JudgedGroups(searched.code, NAMES, z)
            step = tune(replace(own, judged=judged), SETTINGS)
            lifts = float(step.moved) * _lifts(judge, heads, champion, step.point)
            refused = step.moved and judging.refused(other, step.point)
            lost = harm.size * lifts[harm.objective] if kind == "harmed" else 0.0
            found[f"{kind}, {way}: refused"] = float(refused)
            found[f"{kind}, {way}: lift"] = 0.0 if refused else float(lifts[-1])
            found[f"{kind}, {way}: group"] = float(lifts[-1] - lost)
    many = JudgedGroups(*_many_scenes(searched, rng), search_z(RULE.group_error, MANY + 6))
    step = tune(replace(searched.problem, judged=many), SETTINGS)
    lifts = float(step.moved) * _lifts(judge, heads, champion, step.point)
    return {**found, "many: lift": float(lifts[-1]), "many, free: lift": found["twin, free: lift"]}


def _many_scenes(
    night: Night, rng: np.random.Generator
) -> tuple[NDArray[np.int64], tuple[tuple[str, str], ...]]:
    """Codes and names where the k-th of many scenes has a share in proportion to 1 / k."""
    share = 1 / np.arange(1, MANY + 1)
    scene = rng.choice(MANY, len(night.code), p=share / share.sum())
    code = np.column_stack([scene, night.code[:, 1:] + MANY - 4])
    return code, (*(("scene", str(s)) for s in range(MANY)), *NAMES[4:])


def _harm(point: Floats, lifts: Floats, judging: Night, rng: np.random.Generator) -> Harm:
    """Who loses what, so that at a point the loss is ``HARM`` standard errors of its own."""
    group = int(rng.choice([1, 5, 8]))
    raised = np.argsort(-lifts[:-1])[:_CANDIDATES]
    objective = int(rng.choice(raised[lifts[raised] >= _RAISED * lifts[raised[0]]]))
    task = TuningTask.of(judging.problem, SETTINGS)
    served = task.policy.probabilities(point)
    error = task.known.of_groups(served, judging.code, len(NAMES))[1][group]
    size = float((lifts[-1] + HARM * error) / lifts[objective])
    share = float(np.concatenate(list(SHARES.values()))[group])
    return Harm(group, share, objective, size)


def _lifts(judge: Judge, heads: Heads, champion: Floats, point: Floats) -> Floats:
    """True lifts of each objective's bilinear part and of the north star, shape (m + 1,)."""
    world = judge.world
    ours, before = (
        softmax_with_floor(judge.pair @ policy, world.candidates, world.floor)
        for policy in (heads.policy(point, champion), champion)
    )
    more = (ours - before) * world.candidates / len(judge.pair)
    return np.append(more @ judge.heads, more @ judge.truth([0]))


def _shares(*kinds: str) -> list[tuple[float, ...]]:
    return [SHARES[kind] for kind in kinds]
