"""Where versions are registered, and who may decide on them."""

from __future__ import annotations

from pydantic import Field

from pipelines.settings.section import Section


class Registry(Section):
    """The MLflow registry."""

    model: str = Field(
        "recommender",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="Name of the registered model.",
    )
    experiment: str = Field("nightly", description="Name of the MLflow experiment.")
    tracking_uri: str | None = Field(None, description="None: SQLite inside the workspace.")
    reproduce_rows: int = Field(
        200,
        ge=1,
        description="Judged decisions whose probabilities a version must reproduce before it is "
        "promoted.",
    )
    least_users: int = Field(
        20,
        ge=1,
        description="Fewest users of a group in a registered version's tables: smaller groups are "
        "merged into one, and items that fewer were offered are left out.",
    )
    approvers: list[str] = Field(
        default=[],
        description="Who may approve, reject, promote, roll back and move the anchor, by the name "
        "that --actor gives; left out, everybody. Whoever can run the command can give any name: "
        "where that is too much, let people decide in Airflow alone, which knows who they are.",
    )

    def policy_id(self, version: int) -> str:
        """The log's name of a version: of the rows that it serves, and of its lists."""
        return f"{self.model}@{version}"
