"""The contract of a stage: what it is called, what it reads, what it makes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pipelines.contract.context import NightContext
from pipelines.contract.workspace import StagePlace

PlanT = TypeVar("PlanT")


@dataclass(frozen=True)
class Product:
    """What a stage made.

    Attributes:
        outputs: name to path relative to the stage's folder; their content is fingerprinted.
        counts: what the stage says of its work, plain data.
        stopped: why the night stops here; empty when it goes on.
        expiring: folders whose files may be removed in time; no stage reads them.
    """

    outputs: dict[str, str] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)
    stopped: str = ""
    expiring: tuple[str, ...] = ()


class Stage(Protocol[PlanT]):
    """One step of a night.

    What it decides from the workspace before it starts (its nights, its champion, its encoder) is a
    value: the runner asks for it once and hands it to ``inputs`` and ``run``, so that the two speak
    of the same things whatever else happens meanwhile.
    """

    @property
    def name(self) -> str:
        """Name of the folder, the command and the Airflow task."""
        ...

    @property
    def place(self) -> StagePlace:
        """Whether the output depends on the data alone, or on the run's settings too.

        ``open`` is that of a night that is not over: no other stage reads it.
        """
        ...

    @property
    def sections(self) -> tuple[str, ...]:
        """Settings sections that the stage reads."""
        ...

    @property
    def form(self) -> int:
        """Number of the output's form, from 1.

        To be raised when other files, columns or fields are written, when they mean another thing,
        or when the names of the inputs change: older outputs are then not kept by an upgrade.
        """
        ...

    def plan(self, context: NightContext) -> PlanT:
        """What is decided once, ahead of everything else; None where nothing is.

        Raises:
            DataError: the workspace does not hold what the stage needs.
        """
        ...

    def inputs(self, context: NightContext, plan: PlanT) -> dict[str, str]:
        """Fingerprint of each input.

        Raises:
            MissingInputError: an input's stage has not been completed; names it.
        """
        ...

    def run(self, context: NightContext, plan: PlanT, out: Path) -> Product:
        """Do the work and write into ``out``, an empty folder.

        Raises:
            DataError: the data or the settings are wrong.
        """
        ...
