"""Try forms of a clone from simple to rich, and take the first that reproduces the logger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.learners.clone.fidelity import Fidelity, fidelity_of
from mrlm.learners.clone.fit_softmax import fit_features, fit_item_attributes, fit_network, sampled
from mrlm.learners.clone.targets import log_loss, targets_of
from mrlm.ope import Thresholds
from mrlm.policies.contract import Policy
from mrlm.policies.loggers.feature_softmax import FeatureSoftmax
from mrlm.policies.mixture import Mixture

FORMS: dict[str, Callable[[BanditLog, int], Policy]] = {
    "item attributes": fit_item_attributes,
    "features of state and item": fit_features,
    "small network": fit_network,
}
_HELD_OUT = 0.25
# The newest night alone is tried where it holds so many decisions.
_LEAST_NEWEST = 200
# Shares that differ by more than this in a scene of so many decisions were not drawn by lot.
_UNEVEN, _LEAST_CELL = 0.1, 100
_AGREE = 3.0
# So many loggers at once are cloned one by one; of more, each has too few rows.
_MOST_LOGGERS = 5


@dataclass(frozen=True)
class Attempt:
    """One form that was fitted.

    Attributes:
        form: name in ``FORMS``.
        nights: how many, of the newest, it was fitted and judged on.
        loggers: how many policies of the log it clones one by one; 1: as one.
        policy: the clone.
        fidelity: on held-out users.
        losses: float64, log loss of each held-out decision.
    """

    form: str
    nights: int
    loggers: int
    policy: Policy
    fidelity: Fidelity
    losses: NDArray[np.float64]

    @property
    def name(self) -> str:
        """Form and data in words."""
        apart = f", {self.loggers} loggers one by one" if self.loggers > 1 else ""
        return f"{self.form}{apart}, {self.nights} night{'s' * (self.nights != 1)}"


@dataclass(frozen=True)
class Clone:
    """The clone that was taken, and what was tried before it.

    Attributes:
        taken: the first attempt that reproduces the logger, or the best.
        tried: all, in order.
        passed: whether ``taken`` reproduces the logger.
    """

    taken: Attempt
    tried: tuple[Attempt, ...]
    passed: bool

    @property
    def policy(self) -> Policy:
        """What was fitted, on three quarters of the users."""
        return self.taken.policy

    @property
    def reads_embedding(self) -> bool:
        """Whether the policy needs the catalogue's embedding."""
        parts = self.policy.policies if isinstance(self.policy, Mixture) else (self.policy,)
        return any(isinstance(p, FeatureSoftmax) and p.view.directions.size > 0 for p in parts)

    @property
    def text(self) -> str:
        """What it reached, in one line."""
        told = f"{self.taken.name}: {self.taken.fidelity.text}"
        if self.passed:
            return told
        short = "; ".join(self.taken.fidelity.shortfalls)
        return (
            f"{told}. No form reproduces the logger, this one comes closest: {short}. "
            "Challengers are compared with the logger itself too"
        )


def clone_logger(
    log: BanditLog,
    north_star: str,
    level: float = 0.95,
    thresholds: Thresholds | None = None,
    seed: int = 0,
) -> Clone:
    """The simplest policy that shows what the logger shows.

    The logger is who wrote the newest night. Forms are tried from simple to rich (``FORMS``), each
    on all nights of the policies that are still in use and, where that fails, on the newest night
    alone; several policies (``policy_id``) as one and, where that fails and users are given to them
    by lot, one by one at their newest shares. A quarter of the users, drawn by lot, is
    held out and decides: see ``Fidelity.shortfalls``. Of the one-by-one clones each is judged on
    its own logger's decisions, which bounds the divergence of the mixture, as divergence is convex.

    Where the log tells no probability, there is nothing to pass: the simplest form is taken whose
    held-out log loss is within one standard error of the best.

    Args:
        log: decisions; not empty.
        north_star: objective whose value is compared.
        level: two-sided, of the intervals.
        thresholds: of their certification.
        seed: of what is drawn by lot.

    Raises:
        ValueError: the log is empty.
    """
    if len(log) == 0:
        raise ValueError("no decisions to clone the logger from: no passed night has a bandit log")
    log = _in_use(log)
    shares = _shares(log)
    told = bool(targets_of(log).known.any())
    tried: list[Attempt] = []
    for form in FORMS:
        places = list(_places(log)) if told else [(log, False)]
        if form == "small network" and len(tried) > 1 and told:
            # The richest form costs most and is tried once, where the others came closest.
            best = _closest(tried)
            places = [p for p in places if (_nights(p[0]), p[1]) == (best.nights, best.loggers > 1)]
        for part, apart in places:
            by_lot = shares if apart else {}
            attempt = _attempt(form, part, by_lot, north_star, level, thresholds, seed)
            tried.append(attempt)
            if not attempt.fidelity.shortfalls:
                return Clone(attempt, tuple(tried), passed=True)
    taken = _closest(tried) if told else _simplest_of_the_best(tried)
    return Clone(taken, tuple(tried), passed=False)


def _in_use(log: BanditLog) -> BanditLog:
    """The decisions of the policies that chose on the newest night."""
    newest = log.night == log.night.max()
    return log.where(np.isin(log.policy_id.astype(str), log.policy_id[newest].astype(str)))


def _places(log: BanditLog) -> Iterator[tuple[BanditLog, bool]]:
    """Parts of the log to clone from, and whether its loggers are cloned one by one."""
    parts = [log]
    newest = log.night == log.night.max()
    if not newest.all() and newest.sum() >= _LEAST_NEWEST:
        parts.append(log.where(newest))
    several = 1 < len(set(log.policy_id[newest])) <= _MOST_LOGGERS and _by_lot(log)
    for part in parts:
        yield part, False
        if several:
            yield part, True


def _by_lot(log: BanditLog) -> bool:
    """Whether scene and place in the list say nothing of which policy chose.

    Only then do shares make a mixture out of the loggers' clones.
    """
    _, logger = np.unique(log.policy_id.astype(str), return_inverse=True)
    overall = np.bincount(logger) / len(log)
    context = np.char.add(
        log.decisions.scene.astype(str), np.where(log.decisions.position > 1, "/", "")
    )
    for cell in np.unique(context):
        own = logger[context == cell]
        share = np.bincount(own, minlength=len(overall)) / len(own)
        if len(own) >= _LEAST_CELL and np.abs(share - overall).max() > _UNEVEN:
            return False
    return True


def _attempt(
    form: str,
    log: BanditLog,
    shares: dict[str, float],
    north_star: str,
    level: float,
    thresholds: Thresholds | None,
    seed: int,
) -> Attempt:
    held = _held_out(log, seed)
    fitted, judged = log.where(~held), sampled(log.where(held), seed)
    if shares:
        policy, log_probability = _one_by_one(form, fitted, judged, shares, seed)
    else:
        policy = FORMS[form](fitted, seed)
        log_probability = policy.log_probabilities(judged.decisions)
    return Attempt(
        form=form,
        nights=_nights(log),
        loggers=max(len(shares), 1),
        policy=policy,
        fidelity=fidelity_of(judged, log_probability, north_star, level, thresholds),
        losses=log_loss(targets_of(judged), log_probability),
    )


def _shares(log: BanditLog) -> dict[str, float]:
    """Each logger's share of the users on the newest nights, as far back as the nights agree.

    A night joins while no share differs from those of the later nights by more than three standard
    errors of users that are given out by lot.
    """
    names, code = np.unique(log.policy_id.astype(str), return_inverse=True)
    _, user = np.unique(log.decisions.user.astype(str), return_inverse=True)
    total = np.zeros(len(names))
    for night in np.unique(log.night)[::-1]:
        mine = log.night == night
        pairs = np.unique(np.stack([code[mine], user[mine]], axis=1), axis=0)
        counts = np.bincount(pairs[:, 0], minlength=len(names)).astype(np.float64)
        if total.any():
            own, later = counts / counts.sum(), total / total.sum()
            pooled = (counts + total) / (counts + total).sum()
            error = np.sqrt(pooled * (1 - pooled) * (1 / counts.sum() + 1 / total.sum()))
            if (np.abs(own - later) > _AGREE * error).any():
                break
        total += counts
    shares = (total / total.sum()).tolist()
    return {str(n): s for n, s in zip(names, shares, strict=True) if s > 0}


def _one_by_one(
    form: str, fitted: BanditLog, judged: BanditLog, shares: dict[str, float], seed: int
) -> tuple[Policy, NDArray[np.float64]]:
    """The mixture of the loggers' clones, and each held-out decision by its own logger's clone.

    A logger whose users were all held out leaves the mixture.
    """
    shares = {n: s for n, s in shares.items() if (fitted.policy_id == n).any()}
    clones = {n: FORMS[form](fitted.where(fitted.policy_id == n), seed) for n in shares}
    total = sum(shares.values())
    mixture = Mixture(tuple(clones.values()), tuple(s / total for s in shares.values()))
    own = mixture.log_probabilities(judged.decisions)
    row = judged.decisions.candidates.row
    for name, clone in clones.items():
        mine = (judged.policy_id == name)[row]
        own[mine] = clone.log_probabilities(judged.decisions)[mine]
    return mixture, own


def _held_out(log: BanditLog, seed: int) -> NDArray[np.bool_]:
    """A quarter of the users, at least one and never all; of one user's log a quarter of it."""
    users, place = np.unique(log.decisions.user.astype(str), return_inverse=True)
    if len(users) == 1:
        place = np.arange(len(log))
    number = int(place.max()) + 1
    if number == 1:
        return np.zeros(1, np.bool_)
    many = int(np.clip(round(_HELD_OUT * number), 1, number - 1))
    chosen = np.zeros(number, np.bool_)
    chosen[np.random.default_rng(seed).permutation(number)[:many]] = True
    return chosen[place]


def _nights(log: BanditLog) -> int:
    return len(np.unique(log.night))


def _closest(tried: list[Attempt]) -> Attempt:
    """The attempt of least divergence."""

    def apart(a: Attempt) -> float:
        return np.inf if a.fidelity.divergence is None else a.fidelity.divergence

    return min(tried, key=apart)


def _simplest_of_the_best(tried: list[Attempt]) -> Attempt:
    """The first attempt whose loss is within one standard error of the least."""
    best = min(tried, key=lambda a: a.fidelity.log_loss)
    for attempt in tried:
        gap = attempt.losses - best.losses
        if gap.mean() <= gap.std() / len(gap) ** 0.5:
            return attempt
    return best
