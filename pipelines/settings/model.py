"""Every setting of a deployment, in one typed model.

Values come from a TOML file (``mrlm.toml``, or the file named by ``MRLM_SETTINGS``), then from the
environment (``MRLM_SPARK__MASTER=...``), which wins. Secrets come from the environment alone.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from mrlm.bandit_log import Objective
from mrlm.behaviour.settings import BehaviourSettings
from mrlm.embeddings.settings import EmbeddingSettings
from mrlm.learners.settings import LearningSettings
from mrlm.meta.settings import TuningSettings
from mrlm.promotion.settings import GateSettings
from pipelines.settings.added import leave_out_added, leave_out_added_to_table
from pipelines.settings.errors import unknown_column
from pipelines.settings.ingestion import Ingestion
from pipelines.settings.input_tables import Inputs
from pipelines.settings.people import Notify, Report
from pipelines.settings.publishing import Publishing
from pipelines.settings.registered_model import Registry
from pipelines.settings.serving import Serving
from pipelines.settings.spark import Spark
from pipelines.settings.split import Split
from pipelines.settings.users_past import State
from pipelines.settings.validation import Validation
from spark_jobs.contract.nearest import meant

# Weights fixed by hand are what one stage reads of their section, and what no learner does.
FIXED_WEIGHTS = "tuning.weights"


class Settings(BaseSettings):
    """All settings; see the sections."""

    model_config = SettingsConfigDict(
        env_prefix="MRLM_",
        env_nested_delimiter="__",
        extra="ignore",
        frozen=True,
        allow_inf_nan=False,
    )

    workspace: Path = Field(Path("workspace"), description="Folder of all that the program writes.")
    seed: int = Field(12345, description="Of everything random.")
    inputs: Inputs = Field(description="The raw log's three tables.")
    ingestion: Ingestion = Field(Ingestion(), description="What the ingest stage takes in.")
    state: State = Field(description="What is kept of a user's past.")
    objectives: list[Objective] = Field(description="The reward vector, one entry a component.")
    validation: Validation = Field(
        Validation(), description="What stops a night, and what is worth a warning."
    )
    embedding: EmbeddingSettings = Field(
        EmbeddingSettings(), description="How item text becomes vectors."
    )
    split: Split = Field(Split(), description="Which nights fit, tune and judge.")
    behaviour: BehaviourSettings = Field(
        BehaviourSettings(), description="Sizes and rates of the reward model."
    )
    learning: LearningSettings = Field(
        LearningSettings(), description="Sizes and rates of the policy learners."
    )
    tuning: TuningSettings = Field(
        TuningSettings(), description="Limits of the meta-update that makes the challenger."
    )
    gate: GateSettings = Field(GateSettings(), description="What a promotion has to show.")
    registry: Registry = Field(Registry(), description="Where versions are registered.")
    publishing: Publishing = Field(Publishing(), description="The lists that a night publishes.")
    serving: Serving = Field(Serving(), description="The server of mrlm serve.")
    report: Report = Field(Report(), description="The pages that people read.")
    spark: Spark = Field(Spark(), description="The Spark session of the data stages.")
    notify: Notify = Field(Notify(), description="Who hears of a night.")
    truth_path: str | None = Field(
        None,
        description="Path with {night} of the true rewards, where a log comes from a known world. "
        "It is printed beside the estimates and read by nothing else.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        names = [o.name for o in self.objectives]
        if len(set(names)) != len(names):
            raise ValueError(f"objectives: a name appears twice in {names}")
        if sum(o.role == "north_star" for o in self.objectives) != 1:
            raise ValueError("objectives: exactly one must have role = 'north_star'")
        feedback = [o.name for o in self.objectives if o.source == "feedback"]
        if self.publishing.user_ids and not self.ingestion.keep_user_ids:
            raise ValueError(
                "publishing.user_ids: no night keeps user ids: set ingestion.keep_user_ids too"
            )
        for table in self.inputs.tables:
            if table != "feedback" and self.inputs.table(table).events:
                raise ValueError(f"inputs.{table}.events: only inputs.feedback can have them")
        if self.state.history_objective not in feedback:
            raise ValueError(
                f"state.history_objective: {self.state.history_objective!r} is none of the "
                f"feedback objectives {feedback}"
            )
        self._require_read_events()
        wrong = [
            unknown_column(("inputs", table, "columns"), name, table, known)
            for table in self.inputs.tables
            for known in [self.inputs.contract_columns(table)]
            for name in self.inputs.table(table).columns
            if name not in known
        ]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def _require_read_events(self) -> None:
        """Refuse limits of events that nothing reads: of a history everything is read."""
        read = {o.event for o in self.objectives if o.source == "feedback"}
        limits = self.ingestion.screening.value_limits if self.inputs.history is None else ()
        named = {
            "validation.least_events": self.validation.least_events,
            "ingestion.screening.value_limits": limits,
        }
        for setting, events in named.items():
            for event in events:
                if event not in read:
                    raise ValueError(
                        f"{setting}: no objective reads the event {event!r}{meant(event, read)} "
                        f"Those that are read are {', '.join(sorted(read))}"
                    )

    @property
    def objective_tuple(self) -> tuple[Objective, ...]:
        """The objectives in the order of the reward vector."""
        return tuple(self.objectives)

    @property
    def history_nights(self) -> int:
        """Nights that must have been read before the first one that is judged.

        On that one, ``split`` needs nights whose north star is final, to fit, to tune and to judge;
        the last of them lies the north star's window back.
        """
        star = next(o for o in self.objectives if o.role == "north_star")
        return self.split.min_fit_nights + self.split.tune_nights + star.window_nights

    @property
    def final_after(self) -> int:
        """Nights after its own at which a slot's last feedback window closes."""
        return max(o.window_nights for o in self.objectives if o.source == "feedback")

    def fingerprint(self, *sections: str) -> str:
        """Hash of the named sections, or of all that can change a result.

        ``tuning`` is without the weights fixed by hand, which have a name of their own,
        ``tuning.weights``.
        """
        data = self.model_dump(mode="json")
        for place in ("workspace", "notify", "truth_path", "spark", "serving", "report"):
            data.pop(place)
        data["registry"].pop("tracking_uri")
        data["registry"].pop("approvers")
        # Where files lie changes nothing; what is in them is fingerprinted by content.
        data["inputs"].pop("candidate_set_path")
        data["inputs"].pop("sent_path")
        for table in self.inputs.tables:
            data["inputs"][table].pop("path")
            leave_out_added_to_table(data["inputs"][table], self.inputs.table(table))
        leave_out_added(data, self)
        if sections:
            if FIXED_WEIGHTS not in sections:
                data["tuning"]["weights"] = None
            data = {s: data[s] for s in sections if s != FIXED_WEIGHTS}
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file."""
        return env_settings, init_settings
