"""What every stage is given: the night, the settings, the workspace."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mrlm.bandit_log import Objective
from mrlm.bandit_log.objectives import north_star
from pipelines.contract.log import bound
from pipelines.contract.workspace import Workspace
from pipelines.settings.model import Settings

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

    def log(self, stage: str) -> logging.LoggerAdapter[logging.Logger]:
        """A logger for a stage of this night."""
        return bound(self.run_key, stage)

    def spark(self) -> SparkSession:
        """The process's Spark session, started on first use."""
        from spark_jobs.session import spark_session

        spark = self.settings.spark
        return spark_session(
            master=spark.master,
            driver_memory=spark.driver_memory,
            shuffle_partitions=spark.shuffle_partitions,
            config=spark.config,
            java=spark.java,
        )
