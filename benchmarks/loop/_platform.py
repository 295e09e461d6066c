"""A platform whose lists come from a server: it asks, shows them, and delivers files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.loop._server import Server
from mrlm.bandit_log import BanditLog, Decisions
from mrlm.worlds.lines import dump
from mrlm.worlds.live_replay import Floats, Ints
from mrlm.worlds.writer import item_row

Answer = dict[str, Any]


@dataclass
class Lists:
    """The lists of one night, from the platform's record as far as it goes, else from a server.

    A request that a killed run had answered is not asked again, for its user was shown that list.

    Attributes:
        server: that answers.
        record: file of a night's answers, a line each.
        slots: int64, shape (q,), length of each request's list.
        answers: by request, of this night.
        asked: requests that the server answered in this process.
    """

    server: Server
    record: Path
    slots: Ints
    answers: dict[int, Answer] = field(init=False)
    asked: int = 0

    def __post_init__(self) -> None:
        self.answers = {int(a["request_id"][1:]): a for a in recorded(self.record)}
        # What a kill cut is asked again, and begins a line of its own.
        deliver(self.record, iter(self.answers.values()))

    def __call__(self, decisions: Decisions) -> tuple[Floats, Ints]:
        """What ``LiveReplay.show_chosen`` asks for."""
        propensity = np.zeros(decisions.offsets[-1])
        action = np.zeros(len(decisions), np.int64)
        for place, request in enumerate(decisions.request.tolist()):
            if request not in self.answers:
                self._ask(decisions, place, request)
            slot = self.answers[request]["items"][int(decisions.position[place]) - 1]
            names = decisions.catalog.item_id[decisions.candidates[place]].tolist()
            chance = dict(zip(slot["candidates"], slot["candidate_propensities"], strict=True))
            own = slice(decisions.offsets[place], decisions.offsets[place + 1])
            propensity[own] = [chance.get(name, 0.0) for name in names]
            action[place] = names.index(slot["item_id"])
        return propensity, action

    def _ask(self, decisions: Decisions, place: int, request: int) -> None:
        self.server.set_clock(f"{decisions.ts[place]}+00:00")
        self.answers[request] = answer = self.server.ask(
            {
                "request_id": request_name(request),
                "user_id": str(decisions.user[place]),
                "scene": str(decisions.scene[place]),
                "candidates": decisions.catalog.item_id[decisions.candidates[place]].tolist(),
                "history": list(_history(decisions.take(np.array([place])))),
                "k": int(self.slots[request]),
            }
        )
        with self.record.open("a") as file:
            file.write(f"{dump(answer)}\n")
        self.asked += 1


def _history(decision: Decisions) -> Iterator[dict[str, Any]]:
    """What the platform knows of what it showed, oldest first."""
    own, seen = decision.histories, decision.looked_back_on().values
    for code, rewards in zip(own.item[seen].tolist(), own.rewards[seen].tolist(), strict=True):
        known = zip(own.objectives, rewards, strict=True)
        yield {
            "item_id": str(decision.catalog.item_id[code]),
            "rewards": {name: value for name, value in known if not np.isnan(value)},
        }


def recorded(path: Path) -> Iterator[Answer]:
    """Answers of a record; the last line may have been cut by a kill."""
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            yield json.loads(line)
        except ValueError:
            return


def request_name(request: int) -> str:
    """As decisions are named by ``LiveReplay``."""
    return f"r{request:08d}"


def impression_rows(log: BanditLog) -> Iterator[dict[str, Any]]:
    """Rows of the log contract as a logger of the platform's own writes them."""
    of, item_id = log.decisions, log.decisions.catalog.item_id
    for d, request in enumerate(of.request.tolist()):
        own = slice(of.offsets[d], of.offsets[d + 1])
        yield {
            "request_id": request_name(request),
            "ts": f"{of.ts[d]}+00:00",
            "user_id": str(of.user[d]),
            "scene": str(of.scene[d]),
            "position": int(of.position[d]),
            "item_id": str(item_id[of.candidates[d][log.action[d]]]),
            "propensity": float(log.propensity[d]),
            "candidates": item_id[of.candidates[d]].tolist(),
            "candidate_propensities": log.candidate_propensity[own].tolist(),
            "policy_id": str(log.policy_id[d]),
        }


def feedback_rows(log: BanditLog, nights_late: int) -> Iterator[dict[str, Any]]:
    """Events of the slots of one night that come on the night itself, or so many nights later.

    Those of the same night come seconds after their slot, the others when their night begins. An
    event has the name of its objective.
    """
    of = log.decisions
    items = of.catalog.item_id[of.candidates.values[log.shown]]
    for column, objective in enumerate(log.objectives):
        if objective.source != "feedback" or objective.window_nights != nights_late:
            continue
        for d, decision_id in enumerate(log.decision_id.tolist()):
            seconds = np.timedelta64(10 + 9 * int(of.position[d]), "s")
            opens = (log.night[d] + nights_late).astype("datetime64[us]")
            yield {
                "event_id": f"{decision_id}#{objective.name}",
                "request_id": request_name(int(of.request[d])),
                "item_id": str(items[d]),
                "ts": f"{opens if nights_late else of.ts[d] + seconds}+00:00",
                "event": objective.name,
                "value": float(log.rewards[d, column]),
            }


def item_rows(log: BanditLog, codes: list[int], night: str) -> Iterator[dict[str, Any]]:
    """The items of these codes, which arrive on a night."""
    return (item_row(log.decisions.catalog, code, night) for code in codes)


def deliver(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    """Write a file of rows whole, in place of what a killed run left of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{dump(row)}\n" for row in rows))
