"""The Spark session of the data stages."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from pipelines.settings.section import Section

_SESSION_ZONE = "spark.sql.session.timezone"


class Spark(Section):
    """The Spark session; what is not set follows from the size of the night's raw logs."""

    master: str | None = Field(
        None, description="Spark's master: this machine (local[2]), or a cluster's URL."
    )
    driver_memory: str | None = Field(
        None, description="Memory of the driver, as Spark writes it (2g)."
    )
    shuffle_partitions: int | None = Field(None, ge=1, description="Partitions of a shuffle.")
    java: Literal["auto", "packaged"] = Field(
        "auto", description="auto: the system's Java when it fits, else the packaged one."
    )
    config: dict[str, str] = Field(
        default_factory=dict, description="More of Spark's own settings, by their names there."
    )

    @field_validator("config")
    @classmethod
    def _utc_inside(cls, config: dict[str, str]) -> dict[str, str]:
        if _SESSION_ZONE in {name.lower() for name in config}:
            raise ValueError(
                "the session's time zone is always UTC; that of nights is ingestion.time_zone"
            )
        return config
