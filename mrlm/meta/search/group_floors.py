"""No group may be harmed that the gate will look at: the check, and the limits of a search."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mrlm.messages.message import Message
from mrlm.meta.problem.judged_groups import JudgedGroups
from mrlm.meta.problem.paired_lift import PairedLift
from mrlm.meta.problem.tuned_softmax import TunedSoftmax, Vector
from mrlm.meta.problem.tuning_problem import TuningProblem
from mrlm.meta.search.step_limits import LeastBound
from mrlm.privacy.decision_groups import group_in_words

# Standard errors that a limit may be broken by: the solver's rounding.
_MAY_BREAK = 0.01


def harmed_groups(
    problem: TuningProblem, lifts: Mapping[str, PairedLift], probabilities: Vector
) -> tuple[tuple[str, int], ...]:
    """Objective and group of what a policy would likely be refused for, what is held left out.

    Args:
        problem: rounds, and the groups that are judged.
        lifts: of the objectives in which no group may lose more than the margin.
        probabilities: of any policy of the rounds, shape (N,).
    """
    judged = problem.judged
    if judged is None or not judged.names:
        return ()
    margins = {o.name: o.margin for o in problem.objectives if o.role == "guardrail"}
    found = []
    for name, lift in lifts.items():
        value, error = lift.of_groups(probabilities, judged.code, len(judged.names))
        # A group of too few users has no error, and nobody is refused for it.
        beyond = value + (judged.z + _MAY_BREAK) * error < -margins.get(name, 0.0)
        found += [(name, int(g)) for g in np.flatnonzero(beyond)]
    return tuple(each for each in found if each not in judged.held)


def group_floors(problem: TuningProblem, policy: TunedSoftmax) -> list[LeastBound]:
    """One limit for each group that is held and has two users with a known reward."""
    judged = problem.judged
    if judged is None:
        return []
    place = {o.name: j for j, o in enumerate(problem.objectives)}
    found = []
    for name, g in judged.held:
        objective = problem.objectives[place[name]]
        reward = problem.rewards[:, place[name]]
        reward = np.where((judged.code == g).any(axis=1), reward, np.nan)
        if len(np.unique(problem.cluster[~np.isnan(reward)])) < 2:
            continue
        lift = PairedLift(problem, policy, reward, problem.q[:, place[name]], name)
        margin = objective.margin if objective.role == "guardrail" else 0.0
        told = loss_in_words(judged, (name, g))
        found.append(LeastBound(lift, -margin, -judged.z, told))
    return found


def loss_in_words(judged: JudgedGroups, harmed: tuple[str, int]) -> Message:
    """What limits a step where a group, by its place in ``names``, would lose of an objective."""
    objective, place = harmed
    group = group_in_words(*judged.names[place])
    return Message("what {group} would lose of {objective}", group=group, objective=objective)
