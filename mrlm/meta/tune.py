"""The choice of one night: a strategy finds the weights, and the evidence for them is told."""

from __future__ import annotations

from dataclasses import replace

from mrlm.messages.message import Joined, Message
from mrlm.meta.problem.tuned_softmax import Vector
from mrlm.meta.problem.tuning_problem import TuningProblem
from mrlm.meta.search.group_floors import loss_in_words
from mrlm.meta.search.tuning_result import TuningResult
from mrlm.meta.search.tuning_task import TuningTask
from mrlm.meta.settings import TuningSettings
from mrlm.meta.strategies.contract import Proposal, Strategy
from mrlm.meta.strategies.pessimistic_bound import PessimisticBound
from mrlm.meta.strategies.registry import STRATEGIES


def tune(
    problem: TuningProblem,
    settings: TuningSettings,
    previous: Vector | None = None,
    seed: int = 0,
) -> TuningResult:
    """Weights by the strategy that ``settings.strategy`` names, within the limits.

    By default those with the largest lower bound of the lift over the champion, see
    ``PessimisticBound``. The limits are the guardrails, the effective sample size, the KL caps, the
    bounds of theta and of its sum, and that no judged group is likely to be refused for harm.

    Where weights are fixed by hand, only kappa and the scale are chosen, and what is maximised is
    the reward at those weights, each objective in units of the standard deviation of its
    predictions.

    Args:
        problem: rounds of the tune nights.
        settings: caps and levels.
        previous: last night's (kappa, theta), shape (1 + f,), as one more start.
        seed: of the random starts.

    Returns:
        The chosen point; the champion's (1, 0) with the reason where there is no evidence for
        another one, or the solver fails.

    Raises:
        ValueError: fixed weights name no feature, or too few users have known rewards.
    """
    task = TuningTask.of(problem, settings)
    champion = task.policy.champion_point
    if previous is not None and previous.shape != champion.shape:
        raise ValueError(
            f"previous must be (kappa, theta) of shape {champion.shape}; got {previous.shape}"
        )
    if settings.weights is not None:
        # Weights fixed by hand leave no more than two directions, wherever last night ended.
        return _chosen(task, PessimisticBound(), None, seed)
    return _chosen(task, STRATEGIES[settings.strategy], previous, seed)


def counterfactuals(
    problem: TuningProblem,
    settings: TuningSettings,
    previous: Vector | None = None,
    seed: int = 0,
    known: TuningResult | None = None,
) -> dict[str, TuningResult]:
    """What every strategy would have chosen tonight, each with the evidence for it.

    Chosen and valued on the same rounds: the values flatter those that allow for no choice, and the
    bound ``printed``, which holds for all points at once, does not.

    Args:
        problem: rounds of the tune nights.
        settings: caps and levels; weights fixed by hand are not read.
        previous: as for ``tune``.
        seed: of the random starts.
        known: what ``tune`` said of the same arguments; it is not computed again.
    """
    task = TuningTask.of(problem, settings.model_copy(update={"weights": None}))
    found: dict[str, TuningResult] = {}
    for name, strategy in STRATEGIES.items():
        if known is not None and name == settings.strategy and settings.weights is None:
            found[name] = known
        else:
            found[name] = _chosen(task, strategy, previous, seed)
    return found


def _chosen(
    task: TuningTask, strategy: Strategy, previous: Vector | None, seed: int
) -> TuningResult:
    """What a strategy proposes that harms none of the judged groups.

    Few steps harm any, and each limit costs a search: so only a group that a proposal would harm
    becomes one, and the strategy is asked again, until what it proposes harms none.
    """
    proposal = strategy.propose(task, previous, seed)
    while proposal.moved:
        harmed = task.harmed(task.policy.probabilities(proposal.point))
        if not harmed:
            break
        task = task.holding(harmed)
        proposal = strategy.propose(task, previous, seed)
    judged = task.problem.judged
    if judged is not None and judged.held and not proposal.moved:
        losses = Joined(", ", (loss_in_words(judged, each) for each in judged.held))
        why = Message(
            "{reason}; a step that is better for all was held back by {losses}",
            reason=proposal.reason,
            losses=losses,
        )
        proposal = replace(proposal, reason=why)
    return _told(task, proposal)


def _told(task: TuningTask, proposal: Proposal) -> TuningResult:
    point = proposal.point
    t_squared, rank, _ = task.significance
    return TuningResult(
        columns=task.problem.columns,
        kappa=float(point[0]),
        theta=tuple(float(t) for t in point[1:]),
        moved=proposal.moved,
        reason=proposal.reason,
        target=task.target.name,
        lift=task.target.lift(point, proposal.z),
        printed=task.printed(point),
        z=proposal.z,
        significance=t_squared,
        directions=rank,
        kl=task.policy.divergence(point)[0],
        guardrails=task.guarded(point),
        evaluations=proposal.evaluations,
        effective_sample_size=task.sample.of(point),
        limited_by=proposal.limited_by,
        floors=task.floors(
            task.policy.probabilities(point) if proposal.moved else task.problem.champion
        ),
    )
