"""The meta-update: choose the weights whose proven lift of the north star is largest."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, minimize
from scipy.special import chdtri

from mrlm.bandit_log.objectives import north_star
from mrlm.meta.objective import BoundedLift, PairedLift
from mrlm.meta.policy import TunedSoftmax, Vector
from mrlm.meta.problem import TuningProblem
from mrlm.meta.settings import TuningSettings
from mrlm.meta.weights import Guardrail, TuningResult

MAX_ITERATIONS = 60
DIRICHLET_STARTS = 2


def tune(
    problem: TuningProblem,
    settings: TuningSettings,
    previous: Vector | None = None,
    seed: int = 0,
) -> TuningResult:
    """Weights with the largest lower bound of the lift over the champion.

    Maximises value - z * standard error of the paired lift of the north star, where z^2 is the
    ``settings.confidence`` point of chi-square with as many degrees of freedom as there are free
    directions (Scheffe: the bound holds for all directions at once, hence for the chosen one),
    subject to the guardrails, the KL cap, the bounds of theta and of its sum. Where weights are
    fixed by hand, only kappa and the scale are chosen, and what is maximised is the reward at those
    weights, each objective in units of the standard deviation of its predictions.

    Args:
        problem: rounds of the tune nights.
        settings: caps and levels.
        previous: last night's (kappa, theta), shape (1 + f,), as one more start.
        seed: of the random starts.

    Returns:
        The chosen point; the champion's (1, 0) with the reason where no direction is significant,
        no point has a positive lower bound, or the solver fails.

    Raises:
        ValueError: fixed weights name no feature, or too few users have known rewards.
    """
    search = _Search.of(problem, settings)
    champion = search.policy.champion_point
    t_squared, rank, direction = search.target.significance(champion, search.basis)
    needed = float(chdtri(rank, 1 - settings.confidence)) if rank else math.inf
    search.z = math.sqrt(needed) if rank else 0.0
    if not t_squared > needed:
        reason = (
            f"no evidence: no direction from the champion is significant "
            f"(T^2 = {t_squared:.1f}, needed {needed:.1f} with {rank} directions)"
        )
        return search.result(champion, t_squared, rank, reason)
    best, best_bound, failures = champion, 0.0, []
    for start in search.starts(direction, previous, seed):
        found, failure = search.solve(start)
        if failure:
            failures.append(failure)
        bound, _ = search.target.lower_bound(found, search.z)
        if bound > best_bound and search.feasible(found):
            best, best_bound = found, bound
    if best is champion:
        reason = "no evidence: no permitted point has a lower bound of the lift above 0"
        if failures:
            reason += f"; the solver reported: {failures[0]}"
        return search.result(champion, t_squared, rank, reason)
    reason = f"the lower bound of the lift of {search.target.name} is {best_bound:.4g}"
    return search.result(best, t_squared, rank, reason)


@dataclass
class _Search:
    """One search: points are ``basis`` times free coordinates."""

    problem: TuningProblem
    settings: TuningSettings
    policy: TunedSoftmax
    target: PairedLift
    guardrails: list[tuple[PairedLift, float]]
    basis: Vector
    lowest: Vector
    highest: Vector
    norm: Vector
    z: float = 0.0
    evaluations: int = 0

    @classmethod
    def of(cls, problem: TuningProblem, settings: TuningSettings) -> _Search:
        policy = TunedSoftmax(problem)

        def lift(j: int) -> PairedLift:
            name = problem.objectives[j].name
            return PairedLift(problem, policy, problem.rewards[:, j], problem.q[:, j], name)

        guardrails = [
            (lift(j), o.margin) for j, o in enumerate(problem.objectives) if o.role == "guardrail"
        ]
        f, cap = len(problem.columns), settings.max_scale
        if settings.weights is not None:
            weights = _fixed(problem, settings.weights)
            basis = np.zeros((1 + f, 2))
            basis[0, 0] = 1.0
            basis[1:, 1] = weights
            return cls(
                problem=problem,
                settings=settings,
                policy=policy,
                target=_fixed_target(problem, policy, settings.weights),
                guardrails=guardrails,
                basis=basis,
                lowest=np.zeros(2),
                highest=np.array([1.0, cap]),
                norm=np.array([0.0, 1.0]),
            )
        lowest = np.zeros(f) if problem.lowest is None else np.maximum(problem.lowest, -cap)
        highest = np.full(f, cap) if problem.highest is None else np.minimum(problem.highest, cap)
        # The sum of |theta| where the sign is known; features of either sign have only their box.
        sign = np.where(lowest >= 0, 1.0, np.where(highest <= 0, -1.0, 0.0))
        star = problem.names.index(north_star(problem.objectives).name)
        return cls(
            problem=problem,
            settings=settings,
            policy=policy,
            target=lift(star),
            guardrails=guardrails,
            basis=np.eye(1 + f),
            lowest=np.concatenate([[0.0], lowest]),
            highest=np.concatenate([[1.0], highest]),
            norm=np.concatenate([[0.0], sign]),
        )

    @property
    def origin(self) -> Vector:
        """Free coordinates of the champion: kappa 1, no feature."""
        free = np.zeros(self.basis.shape[1])
        free[0] = 1.0
        return free

    def starts(self, direction: Vector, previous: Vector | None, seed: int) -> list[Vector]:
        """Free coordinates to start from, none at the champion, where the bound has a cone."""
        uphill = self._inside(self.origin + direction) - self.origin
        length = float(np.abs(uphill).max()) or 1.0
        steps = [self._inside(self.origin + s * uphill / length) for s in (0.1, 0.3, 1.0, 3.0)]
        bounds = [self.target.lower_bound(self.basis @ s, self.z)[0] for s in steps]
        self.evaluations += len(steps)
        found = [steps[int(np.argmax(bounds))]]
        if previous is not None and self.settings.weights is None:
            if previous.shape != self.origin.shape:
                raise ValueError(
                    f"previous must be (kappa, theta) of shape {self.origin.shape}; "
                    f"got {previous.shape}"
                )
            found.append(self._inside(previous))
        generator = np.random.default_rng(seed)
        draws = generator.dirichlet(np.ones(len(self.origin) - 1), DIRICHLET_STARTS)
        for shares in draws if self.settings.weights is None else draws[:1]:
            found.append(self._inside(np.concatenate([[0.5], 2.0 * shares * self._towards()])))
        return found

    def _towards(self) -> Vector:
        """The sign in which each feature may move."""
        return np.where(self.highest[1:] > 0, 1.0, -1.0)

    def _inside(self, free: Vector) -> Vector:
        free = np.clip(free, self.lowest, self.highest)
        total = float(self.norm @ free)
        if total > self.settings.max_scale:
            free = np.where(self.norm != 0, free * self.settings.max_scale / total, free)
        return free

    def solve(self, start: Vector) -> tuple[Vector, str | None]:
        """Solve from one start; a point that breaks a constraint is drawn back to the champion."""
        basis, resolution = self.basis, self.target.resolution

        def objective(free: Vector) -> tuple[float, Vector]:
            self.evaluations += 1
            value, gradient = self.target.lower_bound(basis @ free, self.z)
            return -value / resolution, -(basis.T @ gradient) / resolution

        def slack(free: Vector) -> Vector:
            return self._constraints(basis @ free)[0]

        def slack_gradient(free: Vector) -> Vector:
            return self._constraints(basis @ free)[1] @ basis

        linear = {
            "type": "ineq",
            "fun": lambda free: self.settings.max_scale - self.norm @ free,
            "jac": lambda free: -self.norm,
        }
        found = minimize(
            objective,
            start,
            jac=True,
            method="SLSQP",
            bounds=Bounds(self.lowest, self.highest),
            constraints=[linear, {"type": "ineq", "fun": slack, "jac": slack_gradient}],
            options={"maxiter": MAX_ITERATIONS, "ftol": 1e-4},
        )
        if not np.isfinite(found.x).all():
            return basis @ self.origin, str(found.message)
        free = self._inside(found.x)
        for share in (1.0, 0.98, 0.9, 0.75, 0.5, 0.25):
            point = basis @ (self.origin + share * (free - self.origin))
            if self.feasible(point):
                return point, None if found.success else str(found.message)
        return basis @ self.origin, None if found.success else str(found.message)

    def _constraints(self, point: Vector) -> tuple[Vector, Vector]:
        """Slacks in units of about 1, shape (c,), and their gradients, shape (c, 1 + f)."""
        kl, kl_gradient = self.policy.divergence(point)
        cap = self.settings.max_kl
        slacks, gradients = [(cap - kl) / cap], [-kl_gradient / cap]
        for lift, margin in self.guardrails:
            lower, gradient = lift.lower_bound(point, self.settings.guardrail_z)
            slacks.append((lower + margin) / lift.resolution)
            gradients.append(gradient / lift.resolution)
        return np.array(slacks), np.array(gradients)

    def feasible(self, point: Vector) -> bool:
        """Whether the KL cap and all guardrails hold, up to a thousandth of their unit."""
        return bool((self._constraints(point)[0] >= -1e-3).all())

    def result(self, point: Vector, t_squared: float, rank: int, reason: str) -> TuningResult:
        guardrails = {}
        for lift, margin in self.guardrails:
            found = lift.lift(point, self.settings.guardrail_z)
            guardrails[lift.name] = Guardrail(
                found, margin, bool(found.lower + margin >= -1e-3 * lift.resolution)
            )
        lift_found: BoundedLift = self.target.lift(point, self.z)
        return TuningResult(
            columns=self.problem.columns,
            kappa=float(point[0]),
            theta=tuple(float(t) for t in point[1:]),
            moved=not np.array_equal(point, self.policy.champion_point),
            reason=reason,
            target=self.target.name,
            lift=lift_found,
            z=self.z,
            significance=t_squared,
            directions=rank,
            kl=self.policy.divergence(point)[0],
            guardrails=guardrails,
            evaluations=self.evaluations,
        )


def _fixed(problem: TuningProblem, weights: dict[str, float]) -> Vector:
    """Weights by objective or feature name as a direction over features, |.| summing to 1."""
    theta = np.zeros(len(problem.columns))
    for name, weight in weights.items():
        places = [j for j, s in enumerate(problem.serves) if s == name]
        places = places or [j for j, c in enumerate(problem.columns) if c == name]
        if not places:
            raise ValueError(
                f"fixed weight {name!r} is neither an objective with a feature nor a feature; "
                f"the features are {list(problem.columns)}"
            )
        theta[places] += weight / len(places)
    total = float(np.abs(theta).sum())
    if not total > 0:
        raise ValueError("fixed weights must not all be 0")
    return theta / total


def _fixed_target(
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
