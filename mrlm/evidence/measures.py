"""By what an objective is measured: two estimates under one name may be of two things."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING

from mrlm.evidence.canonical import fingerprint_of

if TYPE_CHECKING:
    from mrlm.bandit_log.objectives import Objective

# What it is called, and what is made of its value.
_NOT_MEASURED = ("name", "role", "unit", "margin")


def measures(objectives: Iterable[Objective]) -> dict[str, str]:
    """Objective name to the fingerprint of all that its values depend on, such as its event.

    What is as it is by default adds nothing: a field that a later release has, and whose default
    is what was before it, changes no fingerprint.
    """
    return {o.name: _measure(o) for o in objectives}


def one_measure(known: Mapping[str, str], objective: Objective) -> bool:
    """Whether ``known``, of an earlier night, may be of the same values as the objective is.

    Args:
        known: of ``measures``; a night of before there were any says nothing, and is taken to be.
        objective: as the settings have it now.
    """
    return known.get(objective.name, _measure(objective)) == _measure(objective)


def _measure(objective: Objective) -> str:
    return fingerprint_of(
        {
            field.name: getattr(objective, field.name)
            for field in fields(objective)
            if field.name not in _NOT_MEASURED and getattr(objective, field.name) != field.default
        }
    )
