"""Draw lists from a policy, with the probabilities that tomorrow's log needs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mrlm.bandit_log import Catalog, Decisions, Ragged
from mrlm.bandit_log.later_slot import next_slot
from mrlm.bandit_log.ragged import gather, rows, segment_max, segment_sum
from mrlm.policies.contract import Policy
from mrlm.policies.quotas.assignment import NOTHING, assigned
from mrlm.policies.quotas.quotas import Quotas
from mrlm.promotion.serving.states import lists

# Candidates of lists that are filled together.
_TOGETHER = 1 << 13
RECOMMENDATIONS_SCHEMA = pa.schema(
    [
        pa.field("request_id", pa.string()),
        pa.field("items", pa.list_(pa.string())),
        pa.field("propensities", pa.list_(pa.float64())),
        pa.field("candidates", pa.list_(pa.list_(pa.string()))),
        pa.field("candidate_propensities", pa.list_(pa.list_(pa.float64()))),
    ]
)


@dataclass(frozen=True)
class Recommendations:
    """One list a request, top first.

    Attributes:
        request_id: str objects, shape (n,).
        items: ragged int32 item codes.
        propensities: ragged float64, the probability of each item given the items above it.
        candidates: ragged int32 item codes, one row a value of ``items``: those that were left for
            the slot, the item itself among them.
        candidate_propensities: ragged float64, the probability of each of them in that slot.
    """

    request_id: NDArray[np.object_]
    items: Ragged
    propensities: Ragged
    candidates: Ragged
    candidate_propensities: Ragged

    @classmethod
    def concat(cls, parts: Sequence[Recommendations]) -> Recommendations:
        """The lists of ``parts``, one after the other; at least one part."""
        return cls(
            request_id=np.concatenate([p.request_id for p in parts]),
            items=Ragged.concat([p.items for p in parts]),
            propensities=Ragged.concat([p.propensities for p in parts]),
            candidates=Ragged.concat([p.candidates for p in parts]),
            candidate_propensities=Ragged.concat([p.candidate_propensities for p in parts]),
        )

    def take(self, index: NDArray[np.int64]) -> Recommendations:
        """The lists of the requests at ``index``, in that order."""
        slots, offsets = gather(self.items.offsets, index)
        return Recommendations(
            request_id=self.request_id[index],
            items=Ragged(offsets, self.items.values[slots]),
            propensities=Ragged(offsets, self.propensities.values[slots]),
            candidates=self.candidates.take(slots),
            candidate_propensities=self.candidate_propensities.take(slots),
        )

    def to_table(self, catalog: Catalog) -> pa.Table:
        """A table of ``RECOMMENDATIONS_SCHEMA``, one row a request."""
        offsets = pa.array(self.items.offsets, pa.int32())
        columns = [
            pa.array(self.request_id, pa.string()),
            lists(self.items, catalog.item_id),
            lists(self.propensities),
            pa.ListArray.from_arrays(offsets, lists(self.candidates, catalog.item_id)),
            pa.ListArray.from_arrays(offsets, lists(self.candidate_propensities)),
        ]
        return pa.Table.from_arrays(columns, schema=RECOMMENDATIONS_SCHEMA)


def recommend(
    policy: Policy,
    requests: Decisions,
    request_id: Sequence[str],
    k: int,
    seed: int,
    quotas: Quotas | None = None,
) -> Recommendations:
    """Fill up to k slots of every request, one after the other, without replacement.

    Each slot is drawn from the policy's probabilities over the candidates that are left, given the
    items above, so the propensities returned are those of the log contract. What a request gets
    depends on the seed, its identifier and its own state alone, not on its neighbours. A candidate
    set smaller than k gives a shorter list.

    With ``quotas`` a slot is drawn for all requests at once (``mrlm.policies.quotas``): the
    propensities are then those nearest to the policy's that keep to them, given what all requests
    were shown in the slots above, and what a request gets depends on which others there are, though
    not on their order. Where no candidate has room left a list ends.

    Args:
        policy: gives the probabilities.
        requests: n states with their candidate sets; items already ``above`` are kept above.
        request_id: n identifiers; equal ones get equal draws.
        k: slots to fill, 1 or more.
        seed: of the draws.
        quotas: slots of all lists together that items of the catalogue may take, or have to; None:
            there are none.

    Raises:
        ValueError: k is below 1, there are not n identifiers, or a probability is NaN.
    """
    n = len(requests)
    if k < 1:
        raise ValueError(f"k must be 1 or more, not {k}")
    if len(request_id) != n:
        raise ValueError(f"{len(request_id)} request identifiers for {n} requests")
    if quotas is not None:
        order = np.argsort(_keys(request_id, seed), kind="stable")
        names = [request_id[i] for i in order]
        drawn = _filled(policy, requests.take(order), names, k, seed, quotas)
        return drawn.take(np.argsort(order))
    found, done = [], 0
    # What is read of a block's lists is kept while their slots are filled: small blocks stay near.
    for _, part in requests.blocks(_TOGETHER):
        found.append(_filled(policy, part, request_id[done : done + len(part)], k, seed))
        done += len(part)
    if len(found) == 1:
        return found[0]
    return Recommendations.concat(found or [_filled(policy, requests, request_id, k, seed)])


def _filled(
    policy: Policy,
    requests: Decisions,
    request_id: Sequence[str],
    k: int,
    seed: int,
    quotas: Quotas | None = None,
) -> Recommendations:
    """``recommend`` for requests of which all is in memory at once."""
    n, keys = len(requests), _keys(request_id, seed)
    codes: list[NDArray[np.int32]] = []
    chances: list[NDArray[np.float64]] = []
    owners: list[NDArray[np.int64]] = []
    left_for: list[Ragged] = []
    left_chances: list[NDArray[np.float64]] = []
    open_requests = np.flatnonzero(requests.candidates.lengths > 0)
    state: Decisions = requests if len(open_requests) == n else requests.take(open_requests)
    for slot in range(k):
        if len(state) == 0:
            break
        log_p = policy.log_probabilities(state)
        if np.isnan(log_p).any():
            raise ValueError(f"policy {policy.name!r} gives NaN for a probability")
        probability = np.exp(log_p)
        if quotas is None:
            place = _draw(log_p, state.offsets, keys[open_requests], slot)
        else:
            rng = np.random.default_rng([int(np.bitwise_xor.reduce(keys)), slot])
            state, served, probability, place = _assigned(probability, state, quotas, k - slot, rng)
            open_requests = open_requests[served]
        shown = state.candidates.values[place].astype(np.int32)
        if quotas is not None:
            quotas = quotas.after(shown)
        codes.append(shown)
        chances.append(probability[place])
        left_for.append(state.candidates)
        left_chances.append(probability)
        owners.append(open_requests)
        if slot + 1 == k:
            break
        further = np.flatnonzero(state.candidates.lengths > 1)
        state = next_slot(state, place, shown).take(further)
        open_requests = open_requests[further]
    owner = np.concatenate(owners) if owners else np.zeros(0, np.int64)
    offsets = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(owner, minlength=n), out=offsets[1:])
    flat_codes = np.concatenate(codes) if codes else np.zeros(0, np.int32)
    flat_chances = np.concatenate(chances) if chances else np.zeros(0)
    none = Ragged(np.zeros(1, np.int64), np.zeros(0, np.int32))
    slots = Ragged.concat(left_for or [none])
    of_slots = np.concatenate(left_chances) if left_chances else np.zeros(0)
    left = Ragged(slots.offsets, of_slots)
    if n > 1:
        order = np.argsort(owner, kind="stable")
        flat_codes, flat_chances = flat_codes[order], flat_chances[order]
        slots, left = slots.take(order), left.take(order)
    return Recommendations(
        request_id=np.array(request_id, dtype=object),
        items=Ragged(offsets, flat_codes),
        propensities=Ragged(offsets, flat_chances),
        candidates=slots,
        candidate_propensities=left,
    )


def _assigned(
    probability: NDArray[np.float64],
    state: Decisions,
    quotas: Quotas,
    slots: int,
    rng: np.random.Generator,
) -> tuple[Decisions, NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """The first of ``slots`` within quotas, of those requests that are shown something.

    Returns:
        Their states, which they are, the probability of each of their candidates given that they
        are shown one, and the flat place of the one that they are shown.
    """
    item = state.candidates.values.astype(np.int64)
    due = quotas.due(item, state.offsets, slots)
    found = assigned(probability, state.offsets, item, due, rng)
    served = np.flatnonzero(found.place != NOTHING)
    flat, offsets = gather(state.offsets, served)
    place = found.place[served] - state.offsets[served] + offsets[:-1]
    share = found.probability[flat]
    share /= segment_sum(share, offsets)[rows(offsets)]
    return state.take(served), served, share, place


def positions(items: Ragged) -> NDArray[np.int64]:
    """Place of every item in its own list, 1 at the top; int64, shape (len(items.values),)."""
    return np.arange(len(items.values)) - np.repeat(items.offsets[:-1], items.lengths) + 1


def _draw(
    log_p: NDArray[np.float64],
    offsets: NDArray[np.int64],
    keys: NDArray[np.uint64],
    slot: int,
) -> NDArray[np.int64]:
    """Flat place of one candidate a row, drawn by the Gumbel-max trick (Gumbel, 1954).

    Keyed noise for each candidate, rather than one uniform against a running sum, makes a draw
    independent of the other rows to the last bit.
    """
    row = rows(offsets)
    within = np.arange(len(row)) - offsets[row]
    counter = (np.uint64(slot) << np.uint64(32)) + within.astype(np.uint64)
    noisy = log_p - np.log(-np.log(_uniform(keys[row], counter)))
    if len(keys) == 1:
        return np.array([noisy.argmax()])
    best = np.flatnonzero(noisy == segment_max(noisy, offsets)[row])
    first = np.searchsorted(best, offsets[:-1])
    return best[first]


def _keys(request_id: Sequence[str], seed: int) -> NDArray[np.uint64]:
    """64 bits for each request, a hash of seed and identifier."""
    key = str(seed).encode()
    digests = [hashlib.blake2b(r.encode(), digest_size=8, key=key).digest() for r in request_id]
    return np.array([int.from_bytes(d, "little") for d in digests], np.uint64)


def _uniform(keys: NDArray[np.uint64], counter: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Uniform numbers in (0, 1): SplitMix64 (Steele, Lea & Flood, OOPSLA 2014) of key + counter."""
    z = keys + (counter + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    high: NDArray[np.float64] = (z >> np.uint64(11)).astype(np.float64)
    return (high + 0.5) * 2.0**-53
