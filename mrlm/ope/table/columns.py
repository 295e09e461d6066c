"""What the columns of a table mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

TARGET, REWARD, Q, V = "target_probability", "reward", "q_hat", "v_hat"
# The coarsest unit that a table names is taken for the unit of independence.
UNITS = ("user_id", "session_id", "request_id")


@dataclass(frozen=True)
class Columns:
    """Names of the columns that are read, by what they hold.

    Attributes:
        unit: column of the unit of independence; None where each row is its own.
        policies: policy to the column of its target probability, in the order of the table.
        objectives: objective to the column of its reward, in the order of the table.
        q: objective to the column of the shown item's prediction; empty without predictions.
        v: (policy, objective) to the column of the value under the policy; empty without.
    """

    unit: str | None
    policies: dict[str, str]
    objectives: dict[str, str]
    q: dict[str, str]
    v: dict[tuple[str, str], str]

    @property
    def numbers(self) -> list[str]:
        """Columns that must hold numbers, each once."""
        found = ["propensity", *self.policies.values(), *self.objectives.values()]
        return list(dict.fromkeys([*found, *self.q.values(), *self.v.values()]))

    @property
    def read(self) -> list[str]:
        """All columns that are read."""
        return [*([self.unit] if self.unit else []), *self.numbers]

    @classmethod
    def of(cls, names: Sequence[str]) -> Columns:
        """Understand the names of a table's columns.

        ``propensity``; ``target_probability`` or one ``target_probability_NAME`` a policy;
        ``reward`` or one ``reward_NAME`` an objective; ``q_hat``, with ``_OBJECTIVE`` where there
        are several; ``v_hat``, with ``_POLICY`` and then ``_OBJECTIVE`` where there are several.

        Raises:
            ValueError: a column is missing, unknown or means two things.
        """
        _refuse_twice(names)
        if "propensity" not in names:
            raise ValueError(
                "there is no column propensity, the probability with which the logger showed the "
                f"item; the columns are {list(names)}"
            )
        policies = _named(names, TARGET, "policy")
        objectives = _named(names, REWARD, "reward")
        q = {o: c for o in objectives if (c := _find(names, Q, [_part(o, objectives)]))}
        v = {
            (p, o): c
            for p in policies
            for o in objectives
            if (c := _find(names, V, [_part(p, policies), _part(o, objectives)]))
        }
        _refuse_gaps(Q, len(q), len(objectives))
        _refuse_gaps(V, len(v), len(policies) * len(objectives))
        taken = list(v.values())
        if len(set(taken)) != len(taken):
            raise ValueError(
                "a column v_hat means two pairs of policy and objective: rename a policy or an "
                f"objective; the columns are {sorted(set(taken))}"
            )
        unread = [n for n in names if n.startswith((Q, V)) and n not in {*q.values(), *taken}]
        if unread:
            raise ValueError(
                f"columns {unread} fit no policy of {list(policies)} and objective of "
                f"{list(objectives)}; name them q_hat[_OBJECTIVE] and v_hat[_POLICY][_OBJECTIVE]"
            )
        unit = next((u for u in UNITS if u in names), None)
        return cls(unit, policies, objectives, q, v)


def _named(names: Sequence[str], stem: str, alone: str) -> dict[str, str]:
    found = {n[len(stem) + 1 :]: n for n in names if n.startswith(stem + "_") and n != stem + "_"}
    if stem in names:
        if found:
            raise ValueError(
                f"columns {stem} and {list(found.values())}: give each a name, {stem}_NAME"
            )
        return {alone: stem}
    if not found:
        raise ValueError(f"there is no column {stem} or {stem}_NAME; the columns are {list(names)}")
    return found


def _part(name: str, family: dict[str, str]) -> tuple[str, ...]:
    """Endings under which a member of a family may stand: none where it is the only one."""
    if len(family) == 1:
        return ("", f"_{name}")
    return (f"_{name}",)


def _find(names: Sequence[str], stem: str, parts: Sequence[tuple[str, ...]]) -> str | None:
    endings = [""]
    for part in parts:
        endings = [e + p for e in endings for p in part]
    return next((stem + e for e in endings if stem + e in names), None)


def _refuse_twice(names: Sequence[str]) -> None:
    twice = sorted({n for n in names if list(names).count(n) > 1})
    if twice:
        raise ValueError(f"columns {twice} come twice; rename one of each")


def _refuse_gaps(stem: str, found: int, wanted: int) -> None:
    if 0 < found < wanted:
        raise ValueError(
            f"{stem} is given for {found} of {wanted} pairs of policy and objective; give all or "
            "none of them"
        )
