"""What the meta-update is asked: whose lift, in which space of points, within which limits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import chdtri

from mrlm.bandit_log.objectives import north_star
from mrlm.meta.problem.contract import BoundedLift, EstimatedLift
from mrlm.meta.problem.paired_lift import PairedLift
from mrlm.meta.problem.power_tuned_lift import power_tuned
from mrlm.meta.problem.tuned_softmax import TunedSoftmax, Vector
from mrlm.meta.problem.tuning_problem import TuningProblem
from mrlm.meta.search.diversity_floor import DiversityFloor
from mrlm.meta.search.group_floors import group_floors, harmed_groups
from mrlm.meta.search.search_space import Space
from mrlm.meta.search.step_limits import (
    DivergenceCap,
    EffectiveSampleSize,
    EntropyFloor,
    ExposureFloor,
    Limit,
    guardrail_floor,
)
from mrlm.meta.search.tuning_result import Guardrail, ShownFloor
from mrlm.meta.search.typed_weights import typed_direction
from mrlm.meta.search.within_limits import MAY_BREAK
from mrlm.meta.settings import TuningSettings

# Level of the bound that is printed.
_PRINTED = 0.95


@dataclass(frozen=True)
class TuningTask:
    """One night's question to a strategy.

    Attributes:
        problem: rounds of the tune nights.
        settings: caps and levels.
        policy: of the problem.
        target: whose lower bound is maximised.
        known: the same by the rounds alone whose reward is known; the target itself where nothing
            else is read.
        space: where.
        own: the target's own head with kappa 0 and scale 1; all 0 where no feature serves it.
        guardrails: the lifts that may not fall.
        sample: the effective sample size that is kept.
    """

    problem: TuningProblem
    settings: TuningSettings
    policy: TunedSoftmax
    target: EstimatedLift
    known: PairedLift
    space: Space
    own: Vector
    guardrails: tuple[PairedLift, ...]
    sample: EffectiveSampleSize

    @classmethod
    def of(cls, problem: TuningProblem, settings: TuningSettings) -> TuningTask:
        """The task of a problem.

        Raises:
            ValueError: fixed weights name no feature, or too few users have known rewards.
        """
        policy = TunedSoftmax(problem)
        fixed = settings.weights is not None
        known, space, own = (_by_hand if fixed else _north_star)(problem, policy, settings)
        target: EstimatedLift = known
        if settings.surrogate and not fixed and problem.open.any():
            target = power_tuned(problem, policy, problem.names.index(known.name), known) or known
        rows = int(target.used.sum())
        least = max(settings.least_effective_rows, settings.least_effective_share * rows)
        return cls(
            problem,
            settings,
            policy,
            target,
            known,
            space,
            own,
            tuple(
                _lift_of(problem, policy, j)
                for j, o in enumerate(problem.objectives)
                if o.role == "guardrail"
            ),
            EffectiveSampleSize(problem, policy, target.used, least),
        )

    @cached_property
    def limits(self) -> list[Limit]:
        """What every point keeps to, in every search."""
        margins, z = self._margins, self.settings.guardrail_z
        found: list[Limit] = [self.sample]
        found += [guardrail_floor(lift, margins[lift.name], z) for lift in self.guardrails]
        found += group_floors(self.problem, self.policy)
        return [*found, *self.of_any_policy]

    def harmed(self, probabilities: Vector) -> tuple[tuple[str, int], ...]:
        """Objective and judged group of what any policy would harm; see ``harmed_groups``."""
        return harmed_groups(self.problem, self._judged, probabilities)

    def holding(self, harmed: Iterable[tuple[str, int]]) -> TuningTask:
        """The same task within limits for these groups too."""
        judged = self.problem.judged
        if judged is None:
            return self
        return replace(self, problem=replace(self.problem, judged=judged.holding(harmed)))

    @cached_property
    def _judged(self) -> dict[str, PairedLift]:
        """The lifts in which no group may be harmed: the north star's and the guardrails'."""
        star = self.problem.names.index(north_star(self.problem.objectives).name)
        found = self.known
        if found.name != self.problem.names[star]:
            found = _lift_of(self.problem, self.policy, star)
        return {lift.name: lift for lift in (found, *self.guardrails)}

    @cached_property
    def of_any_policy(self) -> list[EntropyFloor | ExposureFloor | DiversityFloor | DivergenceCap]:
        """Those that tell of any policy of the rounds, not only of one with a point."""
        found: list[EntropyFloor | ExposureFloor | DiversityFloor | DivergenceCap] = []
        if self.settings.least_entropy > 0:
            found.append(EntropyFloor(self.policy, self.settings.least_entropy))
        found += self._of_shows.values()
        if self.always_capped:
            found.append(self.divergence_cap)
        return found

    @cached_property
    def _of_shows(self) -> dict[str, ExposureFloor | DiversityFloor]:
        """Floors of who is shown, by the objective or by what shows are counted by."""
        means, numbers = self.settings.exposure_floors, self.settings.diversity_floors
        problem, policy = self.problem, self.policy
        found: dict[str, ExposureFloor | DiversityFloor] = {
            name: ExposureFloor(problem, policy, name, least)
            for name, least in sorted(means.items())
        }
        for kind, least in sorted(numbers.items()):
            found[f"effective {kind}"] = DiversityFloor(problem, policy, kind, least)
        return found

    def floors(self, probabilities: Vector) -> dict[str, ShownFloor]:
        """Of who is shown, at any policy of the rounds, probabilities of shape (N,)."""
        return {
            name: ShownFloor(
                floor.least,
                floor.of_probabilities(self.problem.champion),
                floor.of_probabilities(probabilities),
            )
            for name, floor in self._of_shows.items()
        }

    @property
    def always_capped(self) -> bool:
        """Whether every step keeps to the KL cap: settings say so, or a return is judged.

        A return's lift is the first order of what a step brings.
        """
        judged = {o.name for o in self.problem.objectives if o.role != "component"}
        judged |= set(self.settings.weights or ())
        returns = {o.name for o in self.problem.objectives if o.is_return}
        return self.settings.kl_cap == "always" or bool(judged & returns)

    @property
    def divergence_cap(self) -> DivergenceCap:
        """The cap on steps that weigh a score with a horizon, or are judged by a return."""
        return DivergenceCap(self.policy, self.settings.max_kl)

    @cached_property
    def significance(self) -> tuple[float, int, Vector]:
        """See ``PairedLift.significance``, at the champion and over all directions of the space."""
        return self.target.significance(self.policy.champion_point, self.space.basis)

    @property
    def ahead(self) -> list[int]:
        """Columns that count later rewards too and can be weighed here."""
        found = [j for j, c in enumerate(self.problem.columns) if c in self.problem.horizon]
        return found if self.space.basis[1 + np.array(found, np.int64)].any() else []

    def permits(self, point: Vector) -> bool:
        """Whether every limit holds, up to a thousandth of its unit."""
        limits = [*self.limits, *self.caps_of([point])]
        return all(limit.slack(point)[0] >= -MAY_BREAK for limit in limits)

    def caps_of(self, points: Iterable[Vector]) -> list[DivergenceCap]:
        """The cap that holds beside ``limits`` for whoever weighs a score with a horizon."""
        ahead = bool(self.ahead) and any(point[1:][self.ahead].any() for point in points)
        return [self.divergence_cap] if ahead and not self.always_capped else []

    def printed(self, point: Vector) -> BoundedLift:
        """The lift at a point with its 95 % bound, valid for all points at once (Scheffe)."""
        rank = self.significance[1]
        return self.target.lift(point, float(np.sqrt(chdtri(rank, 1 - _PRINTED))) if rank else 0.0)

    def guarded(self, point: Vector) -> dict[str, Guardrail]:
        """What the tune nights say of every guardrail at a point."""
        found = {}
        for lift in self.guardrails:
            lowered = lift.lift(point, self.settings.guardrail_z)
            margin = self._margins[lift.name]
            holds = lowered.lower + margin >= -MAY_BREAK * lift.resolution
            found[lift.name] = Guardrail(lowered, margin, bool(holds))
        return found

    @property
    def _margins(self) -> dict[str, float]:
        return {o.name: o.margin for o in self.problem.objectives}


def _lift_of(problem: TuningProblem, policy: TunedSoftmax, j: int) -> PairedLift:
    """The lift of the j-th objective."""
    return PairedLift(problem, policy, problem.rewards[:, j], problem.q[:, j], problem.names[j])


def _north_star(
    problem: TuningProblem, policy: TunedSoftmax, settings: TuningSettings
) -> tuple[PairedLift, Space, Vector]:
    """The north star's lift, over kappa and every feature."""
    f, cap = len(problem.columns), settings.max_scale
    lowest = np.zeros(f) if problem.lowest is None else np.maximum(problem.lowest, -cap)
    highest = np.full(f, cap) if problem.highest is None else np.minimum(problem.highest, cap)
    # The sum of |theta| where the sign is known; features of either sign have only their box.
    sign = np.where(lowest >= 0, 1.0, np.where(highest <= 0, -1.0, 0.0))
    space = Space(
        basis=np.eye(1 + f),
        lowest=np.concatenate([[0.0], lowest]),
        highest=np.concatenate([[1.0], highest]),
        norm=np.concatenate([[0.0], sign]),
        scale=cap,
    )
    star = problem.names.index(north_star(problem.objectives).name)
    target = _lift_of(problem, policy, star)
    head = np.array([0.0, *(float(s == target.name) for s in problem.serves)])
    return target, space, head / max(head.sum(), 1.0)


def _by_hand(
    problem: TuningProblem, policy: TunedSoftmax, settings: TuningSettings
) -> tuple[PairedLift, Space, Vector]:
    """The lift of the reward at weights fixed by hand, over kappa and the scale."""
    weights, cap = settings.weights or {}, settings.max_scale
    basis = np.zeros((1 + len(problem.columns), 2))
    basis[0, 0] = 1.0
    basis[1:, 1] = typed_direction(problem, weights)
    space = Space(
        basis=basis,
        lowest=np.zeros(2),
        highest=np.array([1.0, cap]),
        norm=np.array([0.0, 1.0]),
        scale=cap,
    )
    return _weighed_lift(problem, policy, weights), space, basis[:, 1].copy()


def _weighed_lift(
    problem: TuningProblem, policy: TunedSoftmax, weights: dict[str, float]
) -> PairedLift:
    """The lift of the reward at fixed weights; those of mere features do not count."""
    utility = np.zeros(len(problem.objectives))
    for j, name in enumerate(problem.names):
        spread = float(problem.q[:, j].std())
        utility[j] = weights.get(name, 0.0) / (spread if spread > 0 else 1.0)
    if not utility.any():
        utility[problem.names.index(north_star(problem.objectives).name)] = 1.0
    kept = utility != 0
    reward = problem.rewards[:, kept] @ utility[kept]
    return PairedLift(problem, policy, reward, problem.q[:, kept] @ utility[kept], "weights")
