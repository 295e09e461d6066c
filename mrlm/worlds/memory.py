"""Replayed worlds as bandit logs in memory, without files, Spark or pandas."""

from __future__ import annotations

from dataclasses import replace as with_fields

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Decisions, Objective, Ragged
from mrlm.bandit_log.histories import Histories
from mrlm.bandit_log.ragged import gather, ranges
from mrlm.bandit_log.sessions.returns import with_returns
from mrlm.worlds.counted_rows import edges
from mrlm.worlds.logger import SoftmaxLogger
from mrlm.worlds.objectives import DEMO_OBJECTIVES, rewards_of
from mrlm.worlds.ratings import CompleteRatings
from mrlm.worlds.replayed import ReplayedWorld, ReplaySettings, replay
from mrlm.worlds.slot_histories import SlotHistories

SMALL = ReplaySettings(nights=4, max_slots=24)


def replay_log(
    ratings: CompleteRatings,
    *,
    seed: int,
    users: int | None = 200,
    settings: ReplaySettings = SMALL,
    logger: SoftmaxLogger | None = None,
    objectives: tuple[Objective, ...] = DEMO_OBJECTIVES,
    history_objective: str = "relative_rating",
    history_length: int = 50,
) -> tuple[BanditLog, NDArray[np.float64]]:
    """A small replayed world and the true reward of every candidate, float64, shape (N, m).

    Args:
        ratings: complete ratings of the population.
        seed: of the users drawn and of the log.
        users: how many are drawn from the population with replacement, each copy a user of its
            own; None takes everyone once.
        settings: nights and slots.
        logger: the policy that chooses.
        objectives: m objectives, the columns of the truth.
        history_objective: whose known value goes with each history entry.
        history_length: the most entries of a history.

    Returns:
        The log, rewards known and final, and the truth on its candidates. A policy's true value on
        this log's states is the mean over decisions of its probabilities times the truth; over
        many seeds that averages to its value in the population.
    """
    if users is not None:
        rng = np.random.default_rng([seed, users])
        index = np.sort(rng.integers(0, len(ratings), users))
        names = np.array(
            [f"{ratings.user_id[u]}.{k}" for k, u in enumerate(index.tolist())], object
        )
        ratings = ratings.take_users(index, names)
    world = replay(ratings, seed=seed, settings=settings, logger=logger)
    return to_log(
        world,
        objectives=objectives,
        history_objective=history_objective,
        history_length=history_length,
    )


def to_log(
    world: ReplayedWorld,
    *,
    objectives: tuple[Objective, ...] = DEMO_OBJECTIVES,
    history_objective: str = "relative_rating",
    history_length: int = 50,
) -> tuple[BanditLog, NDArray[np.float64]]:
    """The whole log of ``world``, sorted by (ts, decision_id), and the truth, shape (N, m)."""
    n = len(world)
    first_of_request = np.searchsorted(world.request, world.request)
    first_of_user = np.searchsorted(world.user, world.user)
    above, _ = ranges(first_of_request, np.arange(n))
    shown_code = world.ratings.item[world.shown]
    decisions = Decisions(
        catalog=world.ratings.catalog,
        user=world.ratings.user_id[world.user],
        scene=np.where(world.opens, "home", "more").astype(object),
        position=world.position,
        ts=world.ts.astype("datetime64[us]"),
        candidates=world.item_codes(),
        histories=Histories.none(),
        since=np.zeros(n, np.int64),
        until=np.zeros(n, np.int64),
        request=world.request.astype(np.int64),
        above=Ragged(edges(np.arange(n) - first_of_request), shown_code[above]),
    )
    candidate_rating = world.candidates.values.astype(np.int64)
    events = {e: v[candidate_rating] for e, v in world.ratings.events.items()}
    truth = rewards_of(objectives, decisions, events)
    shown = decisions.offsets[:-1] + world.action
    histories, versions = _histories(world, objectives, truth[shown], history_objective)
    decisions = with_fields(
        decisions,
        histories=histories,
        since=np.maximum(first_of_user, first_of_request - history_length) * versions,
        until=first_of_request * versions,
    )
    session = np.cumsum(world.opens & (world.position == 1))
    first_of_session = np.searchsorted(session, session)
    log = BanditLog(
        decisions=decisions,
        decision_id=np.array(decision_ids(world), object),
        night=np.datetime64(world.settings.first_night, "D") + world.night,
        session=np.array([f"s{s}" for s in session.tolist()], object),
        session_step=(np.arange(n) - first_of_session).astype(np.int32),
        action=world.action,
        propensity=world.shown_propensity,
        candidate_propensity=world.propensity,
        policy_id=np.full(n, world.logger.policy_id, object),
        objectives=objectives,
        rewards=truth[shown],
        final=np.ones((n, len(objectives)), np.bool_),
        unknown=np.zeros((n, len(objectives)), np.bool_),
        lost=np.zeros((n, len(objectives)), np.int64),
    )
    order = np.lexsort((world.position, world.request, world.ts))
    flat, _ = gather(decisions.offsets, order)
    return with_returns(log.take(order)), truth[flat]


def decision_ids(world: ReplayedWorld) -> list[str]:
    """``request_id#position`` of every decision."""
    pairs = zip(request_ids(world), world.position.tolist(), strict=True)
    return [f"{r}#{p}" for r, p in pairs]


def request_ids(world: ReplayedWorld) -> list[str]:
    """Request identifier of every decision; they sort as the requests do."""
    return [f"r{r:08d}" for r in world.request.tolist()]


def _histories(
    world: ReplayedWorld,
    objectives: tuple[Objective, ...],
    rewards: NDArray[np.float64],
    history_objective: str,
) -> tuple[Histories, int]:
    """What was shown in the world, in its order, and how many entries there are of each slot."""
    midnight = np.datetime64(world.settings.first_night, "D") + world.night
    entries = SlotHistories.blank(
        world.ts.astype("datetime64[us]"), midnight, objectives, history_objective
    )
    entries.fill(np.arange(len(world)), world.ratings.item[world.shown], rewards)
    return entries.histories, entries.versions
