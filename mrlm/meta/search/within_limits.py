"""The search for the point with the largest lower bound, within limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, minimize

from mrlm.messages.message import Message
from mrlm.meta.problem.contract import EstimatedLift
from mrlm.meta.problem.tuned_softmax import Slope, Vector
from mrlm.meta.search.search_space import Space
from mrlm.meta.search.step_limits import Limit

MAX_ITERATIONS = 60
# The scale is doubled as often as this while it holds the best point back: a softmax of
# standardised features at 64 is greedy but for ties.
DOUBLINGS = 3
DIRICHLET_STARTS = 2
# A limit with less slack than this, in its own unit, is what holds a point back.
_BINDS = 0.02
# What a limit may be broken by, in its unit: the solver's rounding.
MAY_BREAK = 1e-3


@dataclass
class Search:
    """One search in a space, within limits.

    Attributes:
        space: where.
        target: whose lower bound is maximised.
        limits: what every point keeps to.
        z: standard errors in the lower bound.
        tolerance: gain of a step that ends the search, in standard deviations of the champion's
            mean.
        evaluations: points looked at so far.
    """

    space: Space
    target: EstimatedLift
    limits: Sequence[Limit]
    z: float
    tolerance: float = 1e-4
    evaluations: int = 0

    def best(self, starts: Sequence[Vector], failures: list[str]) -> tuple[Vector, float]:
        """The best permitted point from these coordinates, the champion's with 0 if none is better.

        Args:
            starts: free coordinates.
            failures: what the solver reports is added.
        """
        best, best_bound = self.space.basis @ self.space.origin, 0.0
        for start in starts:
            found, failure = self._solve(start)
            if failure:
                failures.append(failure)
            bound, _ = self.target.lower_bound(found, self.z)
            if bound > best_bound and self.permitted(found):
                best, best_bound = found, bound
        return best, best_bound

    def starts(self, uphill: Vector | None, points: Sequence[Vector], seed: int) -> list[Vector]:
        """Coordinates to start from, none at the champion, where the bound has a cone.

        Args:
            uphill: direction of the lift at the champion, shape (1 + f,); None where there is no
                evidence for one: then only starts whose lower bound is above 0 are kept.
            points: to start from too, each of shape (1 + f,); their features' weights are scaled
                to half of the largest sum where they are smaller.
            seed: of the random starts.
        """
        space, origin = self.space, self.space.origin
        found = [self._widened(space.inside(space.coordinates(p))) for p in points]
        generator = np.random.default_rng(seed)
        towards = np.where(space.highest[1:] > 0, 1.0, -1.0)
        draws = generator.dirichlet(np.ones(len(origin) - 1), DIRICHLET_STARTS)
        for shares in draws if len(origin) > 2 else draws[:1]:
            found.append(space.inside(np.concatenate([[0.5], 2.0 * shares * towards])))
        if uphill is None:
            return [s for s in found if self._bound(s) > 0]
        rise = space.inside(origin + space.coordinates(uphill)) - origin
        length = float(np.abs(rise).max()) or 1.0
        steps = [space.inside(origin + s * rise / length) for s in (0.1, 0.3, 1.0, 3.0)]
        return [max(steps, key=self._bound), *found]

    def _bound(self, free: Vector) -> float:
        self.evaluations += 1
        return self.target.lower_bound(self.space.basis @ free, self.z)[0]

    def _widened(self, free: Vector) -> Vector:
        total = float(self.space.norm @ free)
        if not 0 < total < self.space.scale / 2:
            return free
        return np.where(self.space.norm != 0, free * self.space.scale / (2 * total), free)

    def permitted(self, point: Vector) -> bool:
        """Whether every limit holds, up to a thousandth of its unit."""
        return all(limit.slack(point)[0] >= -MAY_BREAK for limit in self.limits)

    def binding(self, point: Vector) -> tuple[str, ...]:
        """Names of the limits that hold the point back."""
        found = [limit.name for limit in self.limits if limit.slack(point)[0] <= _BINDS]
        if self.binds_scale(point):
            found.append(
                Message("the largest sum of the weights, {scale:g}", scale=self.space.scale)
            )
        return tuple(found)

    def binds_scale(self, point: Vector) -> bool:
        """Whether the point uses up the largest sum of the weights."""
        return float(np.abs(point[1:]).sum()) >= (1 - _BINDS) * self.space.scale

    def _solve(self, start: Vector) -> tuple[Vector, str | None]:
        """Solve from one start; a point that breaks a limit is drawn back to the champion."""
        space, resolution = self.space, self.target.resolution
        basis = space.basis

        # The solver asks for values and then, where it stays, for gradients at the same point.
        at: dict[bytes, tuple[tuple[float, Slope], list[tuple[float, Slope]]]] = {}

        def known(free: Vector) -> tuple[tuple[float, Slope], list[tuple[float, Slope]]]:
            key = free.tobytes()
            if key not in at:
                self.evaluations += 1
                point = basis @ free
                at.clear()
                at[key] = (
                    self.target.lower_bound(point, self.z),
                    [limit.slack(point) for limit in self.limits],
                )
            return at[key]

        linear = {
            "type": "ineq",
            "fun": lambda free: space.scale - space.norm @ free,
            "jac": lambda free: -space.norm,
        }
        found = minimize(
            lambda free: -known(free)[0][0] / resolution,
            start,
            jac=lambda free: -(basis.T @ known(free)[0][1]()) / resolution,
            method="SLSQP",
            bounds=Bounds(space.lowest, space.highest),
            constraints=[
                linear,
                {
                    "type": "ineq",
                    "fun": lambda free: np.array([s for s, _ in known(free)[1]]),
                    "jac": lambda free: np.array([g() for _, g in known(free)[1]]) @ basis,
                },
            ],
            options={"maxiter": MAX_ITERATIONS, "ftol": self.tolerance},
        )
        if not np.isfinite(found.x).all():
            return basis @ space.origin, str(found.message)
        free = space.inside(found.x)
        for share in (1.0, 0.98, 0.9, 0.75, 0.5, 0.25):
            point = basis @ (space.origin + share * (free - space.origin))
            if self.permitted(point):
                return point, None if found.success else str(found.message)
        return basis @ space.origin, None if found.success else str(found.message)
