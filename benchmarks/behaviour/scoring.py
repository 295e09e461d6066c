"""How long one request takes a behaviour model: a user with 200 events, many candidates.

Processor time of one thread, float64 as served, in a process that has seen the catalogue before. A
cold request is of a user whom the model has not read, or who did something since; the others come
again with the same history. All models are fitted on 110 users, with the sizes of the
demonstration.

200 requests for each row. Quick: 20.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from benchmarks._demonstration import FIT_NIGHTS, QUICK_USERS, demonstration, nights_of, settings
from benchmarks.rows import Row
from mrlm.bandit_log import Decisions, Ragged
from mrlm.behaviour.contract import BehaviourModel
from mrlm.behaviour.fitting.fit import fit_reward_model

EVENTS = 200
COLD, KNOWN = "cold", "read before"
# Candidates, whether the user was read before, and the most milliseconds at the 99th percentile.
BARS = ((1000, COLD, 40.0), (1000, KNOWN, 15.0), (100, COLD, None), (100, KNOWN, 3.0))
REQUESTS, QUICK_REQUESTS = 200, 20
PAIR, HISTORY, SEQUENCE = "pair", "history", "sequence"


def run(quick: bool) -> list[Row]:
    """Milliseconds of each model, at the median and at the 99th percentile."""
    world = demonstration(1, QUICK_USERS)
    nights, of = nights_of(world), settings()
    fit = world.on_nights(nights[:FIT_NIGHTS]).log
    models = {
        name: fit_reward_model(fit, of.behaviour.model_copy(update={"model": name}), of.seed)
        for name in (PAIR, HISTORY, SEQUENCE)
    }
    user = one_user(world.log.decisions)
    rows = []
    for many, state, most in BARS:
        taken = {
            name: _milliseconds(model, user, many, state, QUICK_REQUESTS if quick else REQUESTS)
            for name, model in models.items()
        }
        for model, beside in ((HISTORY, PAIR), (SEQUENCE, HISTORY)):
            for name, level in (("median", 0.5), ("99th percentile", 0.99)):
                own, peer = (float(np.quantile(taken[m], level)) for m in (model, beside))
                judged = level > 0.5 and not quick and most is not None
                rows.append(
                    Row(
                        f"milliseconds of {model}, {many} candidates, {state}, {name}",
                        own,
                        peer,
                        bar=f"<= {most:g}" if judged else "",
                        holds=own <= most if judged and most is not None else None,
                        note=f"{EVENTS} events; peer: {beside}",
                    )
                )
    return rows


def one_user(decisions: Decisions) -> Decisions:
    """A decision that looks back on ``EVENTS`` entries, with these alone as its histories."""
    seen = decisions.looked_back_on()
    last = int(np.flatnonzero(seen.lengths >= EVENTS)[-1])
    place = seen[last][-EVENTS:]
    whole = decisions.histories
    items = Ragged(np.array([0, EVENTS]), whole.item[place])
    alone = decisions.take(np.array([last]))
    return alone.with_history(items, whole.rewards[place], whole.objectives)


def _milliseconds(
    model: BehaviourModel, user: Decisions, many: int, state: str, requests: int
) -> list[float]:
    draw = np.random.default_rng(0)
    model.score(_asked(user, many, draw))
    taken = []
    for _ in range(requests):
        request = _asked(_anew(user, draw) if state == COLD else user, many, draw)
        start = time.process_time()
        model.score(request)
        taken.append(1e3 * (time.process_time() - start))
    return taken


def _anew(user: Decisions, draw: np.random.Generator) -> Decisions:
    """Another user: the same entries in another order."""
    order, entries = draw.permutation(EVENTS), user.histories
    items = Ragged(np.array([0, EVENTS]), entries.item[order])
    return user.with_history(items, entries.rewards[order], entries.objectives)


def _asked(user: Decisions, many: int, draw: np.random.Generator) -> Decisions:
    codes = draw.choice(len(user.catalog), many, replace=False).astype(np.int32)
    return replace(user, candidates=Ragged(np.array([0, many]), codes))
