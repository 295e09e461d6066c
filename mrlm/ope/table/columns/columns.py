"""What the columns of a table mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from mrlm.ope.table.columns.layout import SLATE, Layout
from mrlm.ope.table.columns.listed import listed

TARGET, REWARD, Q, V = "target_probability", "reward", "q_hat", "v_hat"
KIND, INCLUSION, EXAMINATION = "propensity_kind", "inclusion", "examination"
# The coarsest unit that a table names is taken for the unit of independence.
UNITS = ("user_id", "session_id", "request_id")
# Pairs of a policy and an objective.
MOST_PAIRS = 5_000


@dataclass(frozen=True)
class Columns:
    """Names of the columns that are read, by what they hold.

    Attributes:
        unit: column of the unit of independence; None where each row is its own.
        policies: policy to the column of its target probability, in the order of the table.
        objectives: objective to the column of its reward, in the order of the table.
        q: (policy, objective) to the column of the shown item's prediction; empty without
            predictions. Policies may share one.
        v: (policy, objective) to the column of the value under the policy; empty without.
        layout: what the rows are.
        kind: column of the kind of the propensities of slates; None without.
        inclusion: policy to the column of the probability that the slot's item is anywhere in the
            slate; empty without.
        examination: column of the probability that the user looks at the slot; None without.
    """

    unit: str | None
    policies: dict[str, str]
    objectives: dict[str, str]
    q: dict[tuple[str, str], str]
    v: dict[tuple[str, str], str]
    layout: Layout = field(default_factory=Layout)
    kind: str | None = None
    inclusion: dict[str, str] = field(default_factory=dict)
    examination: str | None = None

    @property
    def numbers(self) -> list[str]:
        """Columns that must hold numbers, each once."""
        found = ["propensity", *self.policies.values(), *self.objectives.values()]
        found += [*self.q.values(), *self.v.values(), *self.inclusion.values()]
        found += [c for c in (self.layout.place, self.examination) if c]
        return list(dict.fromkeys(found))

    @property
    def texts(self) -> list[str]:
        """Columns that hold names or integers, each once."""
        return list(dict.fromkeys(c for c in (self.unit, self.layout.round_id, self.kind) if c))

    @property
    def read(self) -> list[str]:
        """All columns that are read; the unused ones only to be warned of."""
        return [*self.texts, *self.numbers, *self.layout.unused]

    @classmethod
    def of(cls, names: Sequence[str], round: str | None = None) -> Columns:
        """Understand the names of a table's columns.

        ``propensity``; ``target_probability`` or one ``target_probability_NAME`` a policy;
        ``reward`` or one ``reward_NAME`` an objective; ``q_hat`` and ``v_hat``, with ``_POLICY``
        and then ``_OBJECTIVE`` where there are several; policies may share their ``q_hat``. What
        rows are says ``Layout.of``. Slates may have ``propensity_kind``, ``inclusion``, with
        ``_POLICY`` where there are several, and ``examination``.

        Raises:
            ValueError: a column is missing, unknown or means two things.
        """
        layout = Layout.of(names, round)
        _refuse_twice(names)
        if "propensity" not in names:
            raise ValueError(
                "there is no column propensity, the probability with which the logger showed the "
                f"item; the columns are {listed(names)}"
            )
        policies = _named(names, TARGET, "policy")
        objectives = _named(names, REWARD, "reward")
        if len(policies) * len(objectives) > MOST_PAIRS:
            raise ValueError(
                f"{len(policies)} columns {TARGET}_* and {len(objectives)} columns {REWARD}_* make "
                f"more than {MOST_PAIRS} pairs of a policy and an objective: leave some out"
            )
        known = set(names)
        pairs = [(p, o) for p in policies for o in objectives]
        q = {
            (p, o): c
            for p, o in pairs
            if (c := _find(known, Q, [(f"_{p}", ""), _part(o, objectives)]))
        }
        v = {
            (p, o): c
            for p, o in pairs
            if (c := _find(known, V, [_part(p, policies), _part(o, objectives)]))
        }
        _refuse_gaps(Q, len(q), len(pairs))
        _refuse_gaps(V, len(v), len(pairs))
        taken = list(v.values())
        if len(set(taken)) != len(taken):
            raise ValueError(
                "a column v_hat means two pairs of policy and objective: rename a policy or an "
                f"objective; the columns are {listed(sorted(set(taken)))}"
            )
        read = {*q.values(), *taken}
        unread = [n for n in names if n.startswith((Q, V)) and n not in read]
        if unread:
            raise ValueError(
                f"columns {listed(unread)} fit no policy of {listed(policies)} and objective of "
                f"{listed(objectives)}; name them q_hat[_POLICY][_OBJECTIVE] and "
                "v_hat[_POLICY][_OBJECTIVE]"
            )
        unit = next((u for u in UNITS if u in names), None)
        slates = layout.round == SLATE
        inclusion = {p: c for p in policies if (c := _find(known, INCLUSION, [_part(p, policies)]))}
        _refuse_gaps(INCLUSION, len(inclusion), len(policies))
        return cls(
            unit,
            policies,
            objectives,
            q,
            v,
            layout,
            KIND if slates and KIND in names else None,
            inclusion if slates else {},
            EXAMINATION if slates and EXAMINATION in names else None,
        )


def _named(names: Sequence[str], stem: str, alone: str) -> dict[str, str]:
    found = {n[len(stem) + 1 :]: n for n in names if n.startswith(stem + "_") and n != stem + "_"}
    if stem in names:
        if found:
            raise ValueError(
                f"columns {stem} and {listed(found.values())}: give each a name, {stem}_NAME"
            )
        return {alone: stem}
    if not found:
        raise ValueError(
            f"there is no column {stem} or {stem}_NAME; the columns are {listed(names)}"
        )
    return found


def _part(name: str, family: dict[str, str]) -> tuple[str, ...]:
    """Endings under which a member of a family may stand: none where it is the only one."""
    if len(family) == 1:
        return ("", f"_{name}")
    return (f"_{name}",)


def _find(names: Collection[str], stem: str, parts: Sequence[tuple[str, ...]]) -> str | None:
    endings = [""]
    for part in parts:
        endings = [e + p for e in endings for p in part]
    return next((stem + e for e in endings if stem + e in names), None)


def _refuse_twice(names: Sequence[str]) -> None:
    twice = sorted(n for n, times in Counter(names).items() if times > 1)
    if twice:
        raise ValueError(f"columns {listed(twice)} come twice; rename one of each")


def _refuse_gaps(stem: str, found: int, wanted: int) -> None:
    if 0 < found < wanted:
        raise ValueError(
            f"{stem} is given for {found} of {wanted} policies and objectives; give all or none "
            "of them"
        )
