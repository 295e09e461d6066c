"""What every stage is given: the night, the settings, the workspace."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from mrlm.bandit_log import Objective
from mrlm.bandit_log.objectives import north_star
from mrlm.promotion.registry.place import RegistryPlace
from pipelines.contract.deployment import place_of
from pipelines.contract.log import bound
from pipelines.contract.outputs import StageFolder
from pipelines.contract.workspace import StagePlace, Workspace
from pipelines.settings.model import Settings
from pipelines.settings.night_path import night_path

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Progress = Callable[[str, int, int], None]


def _silent(what: str, done: int, total: int) -> None:
    del what, done, total


@dataclass(frozen=True)
class NightContext:
    """One night under one configuration.

    Attributes:
        night: ISO date.
        settings: with the run's parameters already in them.
        workspace: where to read and write.
        force: run stages again although nothing changed.
        progress: called with what, done, total during long work.
    """

    night: str
    settings: Settings
    workspace: Workspace
    force: bool = False
    progress: Progress = field(default=_silent)

    @property
    def run_key(self) -> str:
        """Night and settings' fingerprint: ``2026-11-20-1f2e3d4c``."""
        return f"{self.night}-{self.settings.fingerprint()[:8]}"

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The components of the reward vector."""
        return self.settings.objective_tuple

    @property
    def north_star(self) -> Objective:
        """What the company really wants."""
        return north_star(self.objectives)

    @cached_property
    def registry(self) -> RegistryPlace:
        """The deployment's registry and ledger."""
        return place_of(self.settings, self.workspace)

    def lake(self, stage: str, night: str = "") -> StageFolder:
        """Where a data stage's output lies, of this night or of another one."""
        night = night or self.night
        return StageFolder(self.workspace.lake_stage(night, stage), stage, night)

    def run(self, stage: str, run_key: str = "") -> StageFolder:
        """Where a run stage's output lies, of this run or of another one."""
        key = run_key or self.run_key
        night = key.rpartition("-")[0]
        return StageFolder(self.workspace.run_stage(key, stage), stage, night)

    def of(self, stage: str, place: StagePlace) -> StageFolder:
        """Where the output of a stage lies, whichever kind it is."""
        if place == "open":
            folder = self.workspace.open_nights / self.night / stage
            return StageFolder(folder, stage, self.night)
        return self.lake(stage) if place == "lake" else self.run(stage)

    def log(self, stage: str) -> logging.LoggerAdapter[logging.Logger]:
        """A logger for a stage of this night."""
        return bound(self.run_key, stage)

    def spark(self, nights: Sequence[str] = ()) -> SparkSession:
        """The process's Spark session, started on first use, as large as the raw logs ask.

        Those of the ``nights``, or else of tonight.
        """
        from pipelines.contract.raw_files import raw_bytes
        from spark_jobs.runtime.session import spark_session

        spark, inputs = self.settings.spark, self.settings.inputs
        tables = [inputs.table(name) for name in inputs.tables]
        # One place of all nights counts once.
        places = {night_path(t.path, n) for t in tables for n in nights or [self.night]}
        return spark_session(
            master=spark.master,
            driver_memory=spark.driver_memory,
            shuffle_partitions=spark.shuffle_partitions,
            config=spark.config,
            java=spark.java,
            size=sum(map(raw_bytes, places)),
        )


def contexts_of(settings: Settings, last: int | None = None) -> list[NightContext]:
    """The newest nights under the settings as they are, oldest first."""
    workspace = Workspace(settings.workspace)
    nights = workspace.nights()[-last:] if last else workspace.nights()
    return [NightContext(n, settings, workspace) for n in nights]
