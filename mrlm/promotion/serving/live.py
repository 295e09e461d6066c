"""One request answered by the version that serves, as a row of tomorrow's log for each slot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions, Ragged
from mrlm.bandit_log.histories import UNNAMED, Histories
from mrlm.policies.asking.one_asking import in_one_pass
from mrlm.policies.asking.single_precision import MOST_APART, MOST_APART_UNSEEN, quickest
from mrlm.promotion.serving.bundle import PolicyBundle
from mrlm.promotion.serving.retrieval import Retrieval
from mrlm.promotion.serving.serve import recommend
from mrlm.promotion.serving.states import read_states

DEFAULT_SCENE = "default"
# Decisions of a kind that single precision is tried on, the items that made-up ones offer, of which
# few have the large probabilities, and those that made-up users have seen.
_TRIED, _OFFERED, _SEEN = 32, (2, 5, 10, 100), 100
# Items above those slots that are tried below the first one.
_ABOVE = 3


CandidatesFrom = Literal["request", "retrieval", "last decision", "popularity"]


class UnanswerableError(ValueError):
    """A request that no list can be given for; the message says what it lacks."""


@dataclass(frozen=True)
class HistoryEntry:
    """An item that the user was shown, and what is known of it.

    Attributes:
        item_id: the item.
        rewards: known rewards by objective.
    """

    item_id: str
    rewards: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class LiveRequest:
    """A request for one list.

    Attributes:
        request_id: unique; the same one gets the same list from the same state and version.
        user: pseudonym, by which states are found.
        candidates: item identifiers; None: the version finds some, see ``LiveVersion``.
        history: the user's entries, oldest first; None: what is known of the user.
        scene: where the list is shown.
        k: slots to fill.
    """

    request_id: str
    user: str
    candidates: Sequence[str] | None = None
    history: Sequence[HistoryEntry] | None = None
    scene: str = DEFAULT_SCENE
    k: int = 10


@dataclass(frozen=True)
class Slot:
    """A shown item with what the log contract asks of it.

    Attributes:
        position: from 1.
        item_id: the item.
        propensity: the chance of the item in this slot, given those above.
        candidates: identifiers of those that were left for the slot.
        candidate_propensities: the chance of each.
    """

    position: int
    item_id: str
    propensity: float
    candidates: list[str]
    candidate_propensities: list[float]


@dataclass(frozen=True)
class LiveAnswer:
    """A list, and who drew it.

    Attributes:
        request_id: of the request.
        ts: when it was drawn.
        scene: where it is shown.
        policy_id: the version that drew it.
        known_user: whether a state of the user was found or brought.
        candidates_from: who named the items that could be shown.
        slots: top first.
        dropped: candidates that the catalogue lacks, in the order of the request.
    """

    request_id: str
    ts: datetime
    scene: str
    policy_id: str
    known_user: bool
    candidates_from: CandidatesFrom
    slots: list[Slot]
    dropped: list[str]

    def impressions(self, user_id: str) -> list[dict[str, Any]]:
        """Its rows in the log contract, one a slot, with the user's id as the log has it."""
        return [
            {
                "request_id": self.request_id,
                "ts": self.ts.astimezone(UTC).isoformat(),
                "user_id": user_id,
                "scene": self.scene,
                "policy_id": self.policy_id,
                "position": slot.position,
                "item_id": slot.item_id,
                "propensity": slot.propensity,
                "candidates": slot.candidates,
                "candidate_propensities": slot.candidate_propensities,
            }
            for slot in self.slots
        ]


@dataclass(frozen=True, eq=False)
class LiveVersion:
    """A version over one catalogue, with what is known of users.

    It never changes: a server that takes a newer one swaps the whole value, so an answer comes
    from one version alone.

    Attributes:
        policy_id: of its rows in the log.
        bundle: policy and catalogue.
        states: last known states, a table of ``states.STATES_SCHEMA``, one row a user.
        popular: int32 codes, best first: what is offered where a request names no candidates and
            none of the user are known.
        retrieval: finds candidates by the user's history where a request names none; None: those of
            the user's last known decision.
        history_objective: the feedback objective that tells most, first of what requests bring of
            their users' histories; empty: the first of the bundle that they bring.
        history_length: the newest entries of a history that are read; None: all.
    """

    policy_id: str
    bundle: PolicyBundle
    states: pa.Table
    popular: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    retrieval: Retrieval | None = None
    history_objective: str = ""
    history_length: int | None = None

    def answer(self, request: LiveRequest, now: datetime, seed: int = 0) -> LiveAnswer:
        """Draw the list of a request.

        Args:
            request: what is asked for.
            now: time of the answer, with an offset.
            seed: of the draws.

        Raises:
            UnanswerableError: there is no candidate that the catalogue has, or k is below 1.
        """
        if request.k < 1:
            raise UnanswerableError(f"k must be 1 or more, not {request.k}")
        known = self._row.get(request.user)
        histories = self._histories(request, known)
        codes, dropped, candidates_from = self._offered(request, known, histories)
        if len(codes) == 0 and not dropped:
            raise UnanswerableError("candidates are empty: send the items that may be shown")
        if len(codes) == 0:
            raise UnanswerableError(
                f"the catalogue of {len(self.bundle.catalog)} items has none of the {len(dropped)} "
                "candidates that were sent"
            )
        at = np.datetime64(now.astimezone(UTC).replace(tzinfo=None), "us")
        state = _one(self.bundle, request, codes, histories, at)
        drawn = recommend(self.bundle.policy, state, [request.request_id], request.k, seed)
        item_id = self.bundle.catalog.item_id
        slots = [
            Slot(
                position=i + 1,
                item_id=str(item_id[drawn.items.values[i]]),
                propensity=float(drawn.propensities.values[i]),
                candidates=item_id[drawn.candidates[i]].tolist(),
                candidate_propensities=drawn.candidate_propensities[i].tolist(),
            )
            for i in range(len(drawn.items.values))
        ]
        return LiveAnswer(
            request_id=request.request_id,
            ts=now,
            scene=request.scene,
            policy_id=self.policy_id,
            known_user=known is not None or request.history is not None,
            candidates_from=candidates_from,
            slots=slots,
            dropped=dropped,
        )

    def prepare(self, now: datetime) -> None:
        """Answer once, for nobody: what is made on first use is made, and what fails fails here.

        Raises:
            ValueError: the version cannot answer.
        """
        item_id = [str(name) for name in self.bundle.catalog.item_id[:2]]
        history = [HistoryEntry(name) for name in item_id]
        self.answer(LiveRequest("", "", candidates=item_id, history=history, k=1), now)
        _ = self._row, self._last, self._read

    def quickest(self) -> LiveVersion:
        """The same with models in one pass, and in single precision where that changes nothing.

        Asked are users of the states with all that is known of them, and made-up ones who saw and
        are offered any items, few of them or many, with rewards as those users have, each of a
        first slot and of one below others; see ``single_precision.quickest``.
        """
        apart = MOST_APART if len(self.states) else MOST_APART_UNSEEN
        policy = in_one_pass(quickest(self.bundle.policy, self._asked(), apart))
        return replace(self, bundle=replace(self.bundle, policy=policy))

    def _asked(self) -> Decisions:
        draw, known = np.random.default_rng(0), len(self.states)
        users = self._last.take(draw.choice(known, min(_TRIED, known), replace=False))
        seen, own = users.looked_back_on(), users.histories
        names = own.objectives if known else self._read or (UNNAMED,)
        rewards = own.rewards[seen.values]
        if len(rewards) == 0:
            rewards = draw.normal(size=(_SEEN, len(names))).astype(np.float32)
        asked = [self._made_up(draw, offered, rewards, names) for offered in _OFFERED]
        if known:
            items = Ragged(seen.offsets, own.item[seen.values])
            asked.append(users.with_history(items, own.rewards[seen.values], names))
        first = Decisions.concat(asked)
        return Decisions.concat([first, self._below(draw, first)])

    def _below(self, draw: np.random.Generator, first: Decisions) -> Decisions:
        """The same decisions, of slots that have any items above them."""
        codes = draw.integers(0, len(self.bundle.catalog), len(first) * _ABOVE).astype(np.int32)
        above = Ragged(np.arange(len(first) + 1, dtype=np.int64) * _ABOVE, codes)
        return replace(first, position=np.full(len(first), _ABOVE + 1, np.int32), above=above)

    def _made_up(
        self,
        draw: np.random.Generator,
        offered: int,
        rewards: NDArray[np.float32],
        names: tuple[str, ...],
    ) -> Decisions:
        """Decisions over any ``offered`` items after any others, with some of the rewards."""
        many = len(self.bundle.catalog)
        candidates, seen = (
            Ragged(
                np.arange(_TRIED + 1, dtype=np.int64) * min(size, many),
                draw.integers(0, many, _TRIED * min(size, many)).astype(np.int32),
            )
            for size in (offered, _SEEN)
        )
        nothing = Ragged(np.zeros(_TRIED + 1, np.int64), np.zeros(0, np.int32))
        own = rewards[draw.integers(0, len(rewards), len(seen.values))]
        return Decisions(
            catalog=self.bundle.catalog,
            user=np.full(_TRIED, "", object),
            scene=np.full(_TRIED, DEFAULT_SCENE, object),
            position=np.ones(_TRIED, np.int32),
            ts=np.full(_TRIED, np.datetime64(self.bundle.night, "us")),
            candidates=candidates,
            histories=Histories.of_lists(seen, own, names),
            since=seen.offsets[:-1],
            until=seen.offsets[1:],
            request=np.zeros(_TRIED, np.int64),
            above=nothing,
        )

    @cached_property
    def _row(self) -> dict[str, int]:
        return {user: row for row, user in enumerate(self.states["user"].to_pylist())}

    @cached_property
    def _last(self) -> Decisions:
        night = self.bundle.night
        return read_states(self.states, self.bundle.catalog, ts=night, unknown_candidates="drop")

    @cached_property
    def _read(self) -> tuple[str, ...]:
        """Objectives of histories that are read, the one that tells most first."""
        named = [o.name for o in self.bundle.objectives if o.source == "feedback"]
        known = [n for n in self._last.histories.objectives if n != UNNAMED]
        return tuple(
            sorted(dict.fromkeys([*known, *named]), key=lambda n: n != self.history_objective)
        )

    def _offered(
        self, request: LiveRequest, known: int | None, histories: Histories
    ) -> tuple[NDArray[np.int32], list[str], CandidatesFrom]:
        """Codes of what may be shown, what the catalogue lacks of it, and who named it."""
        if request.candidates is not None:
            return *self._codes(request.candidates), "request"
        found = self.retrieval.of_user(histories) if self.retrieval else ()
        if len(found):
            return np.asarray(found), [], "retrieval"
        if known is not None and len(self._last.candidates[known]):
            return self._last.candidates[known], [], "last decision"
        if len(self.popular):
            return self.popular, [], "popularity"
        raise UnanswerableError(
            "candidates are missing, and nothing is known of the user: send the items that may "
            "be shown"
        )

    def _codes(self, names: Sequence[str]) -> tuple[NDArray[np.int32], list[str]]:
        """Codes of the candidates that the catalogue has, each once, and the others."""
        code, distinct = self.bundle.catalog.code, dict.fromkeys(names)
        found = list(map(code.get, distinct))
        codes = np.array([c for c in found if c is not None], np.int32)
        return codes, [n for n, c in zip(distinct, found, strict=True) if c is None]

    def _histories(self, request: LiveRequest, row: int | None) -> Histories:
        if request.history is not None:
            return self._brought(request.history)
        if row is None:
            return Histories.none()
        last = self._last
        seen = last.take(np.array([row])).looked_back_on().values
        own = last.histories
        return Histories.of_lists(
            Ragged(np.array([0, len(seen)]), own.item[seen]), own.rewards[seen], own.objectives
        )

    def _brought(self, entries: Sequence[HistoryEntry]) -> Histories:
        """The request's own; items and objectives that the version does not know are left out."""
        if self.history_length is not None:
            # Before unknown items go, as a log counts: no older entry takes the place of one.
            entries = entries[max(len(entries) - self.history_length, 0) :]
        code = self.bundle.catalog.code
        kept = [(c, e.rewards) for e in entries if (c := code.get(e.item_id)) is not None]
        # All, and in the order of logs: what is not known of this user is no objective that
        # histories lack, and what reads one objective alone reads the first.
        names = self._read or (UNNAMED,)
        items = np.array([c for c, _ in kept], np.int32)
        known = [[rewards.get(n, np.nan) for _, rewards in kept] for n in names]
        return Histories.of_lists(
            Ragged(np.array([0, len(kept)]), items), np.array(known, np.float32).T, names
        )


def _one(
    bundle: PolicyBundle,
    request: LiveRequest,
    candidates: NDArray[np.int32],
    histories: Histories,
    at: np.datetime64,
) -> Decisions:
    nothing = Ragged(np.zeros(2, np.int64), np.zeros(0, np.int32))
    return Decisions(
        catalog=bundle.catalog,
        user=np.array([request.user], object),
        scene=np.array([request.scene], object),
        position=np.ones(1, np.int32),
        ts=np.array([at]),
        candidates=Ragged(np.array([0, len(candidates)]), candidates),
        histories=histories,
        since=np.zeros(1, np.int64),
        until=np.array([len(histories)]),
        request=np.zeros(1, np.int64),
        above=nothing,
    )
