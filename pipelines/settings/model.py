"""Every setting of a deployment, in one typed model.

Values come from a TOML file (``mrlm.toml``, or the file named by ``MRLM_SETTINGS``), then from the
environment (``MRLM_SPARK__MASTER=...``), which wins. Secrets come from the environment alone.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from mrlm.bandit_log import Objective
from mrlm.behaviour.settings import BehaviourSettings
from mrlm.embeddings.settings import EmbeddingSettings
from mrlm.learners.settings import LearningSettings
from mrlm.messages.translation import Language
from mrlm.meta.settings import TuningSettings
from mrlm.promotion.settings import GateSettings
from pipelines.settings.errors import unknown_column
from pipelines.settings.night_path import checked_night_path, names_night
from spark_jobs.contract.log_contract import CANDIDATE_SET_ID, HISTORY, RAW, TABLES
from spark_jobs.contract.nearest import meant
from spark_jobs.reading.sources import parse_path, parse_source

if TYPE_CHECKING:
    from spark_jobs.contract.clock import NightClock
    from spark_jobs.tables.screening import ScreeningRules

SETTINGS_VARIABLE = "MRLM_SETTINGS"
# Settings that stored workspaces did not have. At its default one changes nothing, and is left out
# of fingerprints: what was made before it is still what these settings make.
_ADDED = {
    "behaviour": (
        *("model", "history", "language", "scene_heads", "uncertainty_nights"),
        *("selection_clip", "distil"),
    ),
    "gate": ("anchored", "groups", "group_error", "test_nights", "trial_share", "watch"),
    "inputs": ("candidates", "feedback_names", "history"),
    "ingestion": (
        *("time_zone", "night_starts", "epochs", "screening", "unattributed"),
        *("scrub_contacts", "keep_user_ids"),
    ),
    "learning": (
        "most_epochs",
        "logarithmic_smoothing",
        "poem",
        *("double_q_learning", "implicit_q_learning", "batch_constrained_q_learning"),
        *("advantage_weighted_regression", "clipped_policy_optimisation"),
        *("vector_policy_iteration",),
    ),
    "publishing": ("user_ids", "capacity"),
    "registry": ("least_users",),
    "tuning": (
        *("least_effective_rows", "least_effective_share", "kl_cap", "head_confidence"),
        *("strategy", "half_life", "change_confidence", "least_entropy"),
        *("kept_bound", "surrogate", "segments", "exposure_floors", "baselines"),
        *("hyperparameters", "hyperparameter_trials"),
        *("hyperparameter_confidence", "hyperparameter_record"),
    ),
    "validation": (
        *("shifted_share", "late_share", "future_share", "items_without_text_share"),
        *("unattributed_share", "doubtful_share", "loss_error", "least_events"),
        "unknown_history_items",
        *("shows_error", "shows_tolerance", "arm_shares", "arm_error", "owners"),
    ),
}
# Weights fixed by hand are what one stage reads of their section, and what no learner does.
FIXED_WEIGHTS = "tuning.weights"
_ADDED_TO_TABLES = ("delimiter", "rows", "where", "events")
_SESSION_ZONE = "spark.sql.session.timezone"


def time_zones() -> set[str]:
    """IANA names of time zones, as settings take them."""
    # Names of the database's own files, which are no place's.
    return available_timezones() - {"Factory", "localtime"}


def _leave_out(data: dict[str, Any], section: BaseModel, names: tuple[str, ...]) -> None:
    """Drop from a section's ``data`` what has its default."""
    for name in names:
        field = type(section).model_fields[name]
        if getattr(section, name) == field.get_default(call_default_factory=True):
            data.pop(name)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class InputTable(_Section):
    """Where one of the three raw inputs lies and what its columns are called."""

    path: str = Field(
        description="Path with {night}, or {night:%Y%m%d} for dates in another form: the arrival "
        "partition of one night. Without it the path holds all nights, and each takes the rows of "
        "its own time."
    )

    @field_validator("path")
    @classmethod
    def _known_form(cls, path: str) -> str:
        return checked_night_path(path)

    format: Literal["json", "csv", "parquet"] = Field(
        "json", description="json: JSON lines; csv: with a header line; parquet."
    )
    columns: dict[str, str | list[str]] = Field(
        default_factory=dict,
        description="Contract name to the name in the file, or to a path into nested rows, a "
        "=constant, a -negated number, or a list of these that is joined by |; names that agree "
        "are left out.",
    )
    delimiter: str = Field(
        ",", min_length=1, max_length=1, description="Of CSV: the character between fields."
    )
    rows: str | None = Field(
        None,
        description="Path of a list whose elements are the rows, where a line holds several; [] in "
        "other paths is that element.",
    )
    where: dict[str, str | list[str]] = Field(
        default_factory=dict,
        description="Path to the texts that a line of this table has there (* any, empty text: "
        "none), for files that hold other lines too.",
    )
    events: dict[str, str] = Field(
        default_factory=dict,
        description="Feedback only: event to the path of its value, for logs that keep feedback in "
        "columns; each is an event where the value is neither empty, 0 nor false.",
    )

    @model_validator(mode="after")
    def _paths(self) -> InputTable:
        paths = [*self.where, *([self.rows] if self.rows is not None else [])]
        for path in paths:
            parse_path(path)
        sources = [*self.events.values()]
        for source in self.columns.values():
            sources += [source] if isinstance(source, str) else source
        for text in sources:
            parse_source(text)
        return self

    @property
    def whole(self) -> bool:
        """Whether one path holds the rows of all nights."""
        return not names_night(self.path)


class Inputs(_Section):
    """The log contract's three tables."""

    impressions: InputTable = Field(description="What was shown, one row a slot.")
    feedback: InputTable = Field(description="What happened, one row an event.")
    items: InputTable = Field(description="What can be shown, one row an item.")
    history: InputTable | None = Field(
        None,
        description="Events of users that name no request, of every kind: they go into the user's "
        "history.",
    )
    text_fields: list[str] = Field(
        default=["text"], description="Item fields joined into the text that is embedded."
    )
    attribute_fields: list[str] = Field(
        default=[], description="Top-level numeric item fields that are taken as attributes."
    )
    candidates: Literal["logged", "catalog"] = Field(
        "logged",
        description="logged: an impression without candidates is quarantined; catalog: it gets "
        "every item that is known on its night.",
    )
    feedback_names: Literal["slot", "request"] = Field(
        "slot",
        description="slot: an event names its request and its item; request: an event without an "
        "item belongs to the only slot of its request.",
    )
    candidate_set_path: str | None = Field(
        default=None,
        description="Path with {night} of a table (candidate_set_id, candidates[]), for logs that "
        "name their candidate sets instead of repeating them.",
    )
    sent_path: str | None = Field(
        default=None,
        description="Path with {night} of a JSON object that says how many events of each name the "
        "logger sent for a night. Where it is set, a night without it is refused, and a loss is "
        "known to the event.",
    )

    @field_validator("candidate_set_path", "sent_path")
    @classmethod
    def _known_form(cls, path: str | None) -> str | None:
        return None if path is None else checked_night_path(path)

    @field_validator("sent_path")
    @classmethod
    def _of_one_night(cls, path: str | None) -> str | None:
        if path is not None and not names_night(path):
            raise ValueError(
                f"{path!r} is one count for all nights: name each night's by {{night}}"
            )
        return path

    def table(self, name: str) -> InputTable:
        """The input of one table of the contract."""
        found: InputTable = getattr(self, name)
        return found

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that the settings have."""
        return TABLES if self.history is None else (*TABLES, HISTORY)

    def contract_columns(self, name: str) -> set[str]:
        """Columns of a table that are read, by their names in the contract."""
        known = {field.name for field in RAW[name]}
        if name == "items":
            known.update(self.text_fields, self.attribute_fields)
        if name == "impressions" and self.candidate_set_path is not None:
            known.add(CANDIDATE_SET_ID)
        return known


class Screening(_Section):
    """Rows that are quarantined as no user's; a rule that is not set is off."""

    test_users: list[str] = Field(
        default=[], description="User ids of test traffic, such as qa-*: * stands for any text."
    )
    test_policies: list[str] = Field(
        default=[], description="Policy ids of test traffic: * stands for any text."
    )
    value_limits: dict[str, tuple[float, float]] = Field(
        default_factory=dict,
        description="Event to the lowest and the highest value that it can have.",
    )
    requests_per_minute: int | None = Field(
        None,
        ge=1,
        description="A user with more requests in one minute is none: all of the night's are "
        "quarantined.",
    )

    @field_validator("value_limits")
    @classmethod
    def _low_before_high(
        cls, limits: dict[str, tuple[float, float]]
    ) -> dict[str, tuple[float, float]]:
        for event, (low, high) in limits.items():
            if low > high:
                raise ValueError(f"the limits of {event!r} are [lowest, highest]: {low} > {high}")
        return limits

    def rules(self) -> ScreeningRules:
        """The rules as the ingestion takes them."""
        from spark_jobs.tables.screening import ScreeningRules

        return ScreeningRules(
            tuple(self.test_users),
            tuple(self.test_policies),
            dict(self.value_limits),
            self.requests_per_minute,
        )


class Ingestion(_Section):
    """Rules of the ingest stage."""

    time_zone: str = Field(
        "UTC",
        description="IANA name, such as Asia/Shanghai, of the time zone of nights, and of times "
        "that name no offset.",
    )
    night_starts: str = Field(
        "00:00",
        pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$",
        description="Local time, HH:MM, at which the night of a date begins.",
    )
    epochs: Literal["auto", "seconds", "milliseconds", "microseconds"] = Field(
        "auto",
        description="Unit of times that are numbers; auto: the one by which a time lies between "
        "2000 and 2100.",
    )
    late_nights: int = Field(
        2, ge=0, description="Impressions that arrive more nights after their own are late."
    )
    screening: Screening = Field(Screening(), description="What more is quarantined as no user's.")
    bot_requests_per_night: int = Field(
        500,
        ge=0,
        description="A user with more requests in one night is a bot: quarantined; 0: nobody is.",
    )
    propensity: Literal["logged", "estimated"] = Field(
        "logged",
        description="logged: an impression without a propensity is quarantined; estimated: it is "
        "kept, its propensity is estimated before anything is learned or evaluated from it, and "
        "all evidence says so.",
    )
    scrub_contacts: bool = Field(
        False,
        description="Whether e-mail addresses and phone numbers in texts of items and values of "
        "contexts are replaced by [email] and [phone]; what was replaced is counted.",
    )
    keep_user_ids: bool = Field(
        False,
        description="Whether each night keeps a map from pseudonyms to user ids, closed to others "
        "like the quarantine and removed with it. publishing.user_ids needs it.",
    )
    user_key_variable: str = Field(
        "MRLM_USER_KEY", description="Environment variable that holds the pseudonymisation key."
    )
    quarantine_days: int = Field(
        30, ge=1, description="Retention of quarantined rows and of user ids, in days."
    )
    unattributed: Literal["lost", "foreign"] = Field(
        "lost",
        description="lost: an event of no known impression may belong to any decision, and the "
        "evidence is widened by what it could change; foreign: such events come from pages that "
        "the log does not hold, and only their share is watched.",
    )
    session_gap_minutes: int = Field(
        30, ge=1, description="A longer pause starts a new session, where the log names none."
    )

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        # To list all names reads every file of the time zone database.
        if name != "UTC" and name not in (known := time_zones()):
            raise ValueError(f"there is no time zone {name!r}{meant(name, known)}")
        return name

    def clock(self) -> NightClock:
        """What a night is, and how times are read."""
        from spark_jobs.contract.clock import NightClock

        return NightClock(self.time_zone, self.night_starts, self.epochs)


class State(_Section):
    """What the bandit log carries as the user's state."""

    history_length: int = Field(
        200,
        ge=0,
        description="Most recent entries that are kept of a user before the night's decisions.",
    )
    history_nights: int = Field(30, ge=1, description="How far back the history reaches.")
    history_objective: str = Field(
        description="Feedback objective that tells most of what a user likes: the histories carry "
        "all, and what reads only one reads this."
    )


class Validation(_Section):
    """Thresholds of the expectation suites."""

    min_rows: int = Field(1, ge=0, description="Fewer impressions stop the night.")
    propensity_sum_tolerance: float = Field(
        0.01,
        gt=0,
        description="Largest distance from 1 of the sum of a row's candidate propensities.",
    )
    inverse_propensity_tolerance: float = Field(
        0.25,
        gt=0,
        description="Largest relative gap between the mean of 1/propensity and the mean number of "
        "candidates; their expectations agree when the logged propensities are true.",
    )
    shows_error: float = Field(
        1e-4,
        gt=0,
        lt=1,
        description="Chance that a night whose propensities are true is stopped because items, "
        "positions, scenes, policies or hours were not shown as often as the propensities say.",
    )
    shows_tolerance: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="Relative distance of shows from what the propensities say that is never "
        "called a fault, however many slots show it.",
    )
    arm_shares: dict[str, float] = Field(
        default_factory=dict,
        description="Share of the users that each randomised arm should have, by policy_id; left "
        "out, the arms are compared with the trailing nights, as a warning.",
    )
    arm_error: float = Field(
        1e-4,
        gt=0,
        lt=1,
        description="Chance that arms with the right shares are called wrong on one night.",
    )
    owners: dict[str, str] = Field(
        default_factory=dict,
        description="Who answers for a table (impressions, feedback, items, history): the night's "
        "summary names them beside each failure.",
    )
    unknown_item_share: float = Field(
        0.001, ge=0, description="Larger share of impressions with an unknown item stops the night."
    )
    unknown_history_items: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Larger share of the events of inputs.history whose item is not in the "
        "catalogue is a warning.",
    )
    shifted_share: tuple[float, float] = Field(
        (0.01, 0.05),
        description="Share of a table's rows outside the arrival night that would lie in it by "
        "another clock: above the first a warning, above the second the table is stopped.",
    )
    late_share: float = Field(
        0.05, ge=0, description="Larger share of any table's rows that are late is a warning."
    )
    future_share: float = Field(
        0.02,
        ge=0,
        description="Larger share of any table's rows later than the arrival night is a warning.",
    )
    items_without_text_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Larger share of a night's items without text is a warning.",
    )
    quarantined_share: float = Field(
        0.1, ge=0, description="Larger share of any table in quarantine is a warning."
    )
    row_count_ratio: tuple[float, float] = Field(
        (0.5, 2.0), description="Row count against the median of trailing passed nights: warning."
    )
    feedback_rate_ratio: tuple[float, float] = Field(
        (0.5, 2.0), description="Feedback per impression against the same median: warning."
    )
    unattributed_share: float = Field(
        0.2,
        ge=0,
        description="Larger share of an objective's events that belong to no known impression "
        "stops the night's feedback.",
    )
    doubtful_share: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Larger share of an event that is lost or unreadable makes the rewards of the "
        "night unknown; up to it, the evidence is widened by what it could change.",
    )
    loss_error: float = Field(
        0.03,
        gt=0,
        lt=1,
        description="Chance that rates call a whole night's feedback incomplete.",
    )
    least_events: dict[str, int] = Field(
        default={},
        description="Event to the fewest that a whole night brings, for those that may be rare.",
    )
    trailing_nights: int = Field(
        7, ge=1, description="Passed nights, the newest, whose median the two ratios compare with."
    )

    @field_validator("shifted_share", "row_count_ratio", "feedback_rate_ratio")
    @classmethod
    def _low_before_high(cls, limits: tuple[float, float]) -> tuple[float, float]:
        low, high = limits
        if low > high:
            raise ValueError(f"the limits are [lower, upper]: {low} > {high}")
        return limits

    @field_validator("least_events")
    @classmethod
    def _counts(cls, least: dict[str, int]) -> dict[str, int]:
        for event, number in least.items():
            if number < 0:
                raise ValueError(f"{event!r} must be at least 0, and is {number}")
        return least

    @model_validator(mode="after")
    def _sensible(self) -> Validation:
        if any(share <= 0 for share in self.arm_shares.values()):
            raise ValueError("validation.arm_shares: every share must be above 0")
        tables = (*TABLES, HISTORY)
        unknown = sorted(set(self.owners) - set(tables))
        if unknown:
            raise ValueError(f"validation.owners: {unknown[0]!r} is none of {', '.join(tables)}")
        return self


class Split(_Section):
    """How the nights with a final north star are divided; see mrlm/bandit_log and docs."""

    tune_nights: int = Field(2, ge=1, description="Nights on which weights are chosen.")
    gate_nights: int = Field(2, ge=1, description="At most this many fresh nights are judged.")
    min_fit_nights: int = Field(1, ge=1, description="Fewer nights to fit on judge nobody.")
    fit_nights: int = Field(60, ge=1, description="Older nights are not fitted on.")


class Registry(_Section):
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


class Publishing(_Section):
    """The published recommendations."""

    k: int = Field(10, ge=1, description="Longest list of a user.")
    user_ids: bool = Field(
        False,
        description="Whether the lists are also written with the platform's own user ids, into a "
        "folder that is closed to others. Needs ingestion.keep_user_ids.",
    )
    capacity: str = Field(
        "",
        max_length=64,
        description="Item attribute with the number of slots that an item may take in all lists of "
        "a night together, such as seats or stock; an item without it may take any number. Empty: "
        "no item has a limit.",
    )


class Serving(_Section):
    """The server of ``mrlm serve``."""

    log_path: str | None = Field(
        None,
        description="Folder with {night} that what was served is written to, as JSON lines under "
        "the column names that inputs.impressions maps; unset: served/dt={night} of the workspace.",
    )
    flush: Literal["answer", "second", "never"] = Field(
        "second",
        description="When rows are forced to the disk: before each answer leaves, at most once a "
        "second, or when the system does. A killed process loses none in any case; a machine that "
        "loses power loses those since.",
    )
    key_variable: str = Field(
        "MRLM_SERVING_KEY",
        description="Environment variable with the key that callers send as a bearer token. Unset, "
        "only 127.0.0.1 is served.",
    )
    tls_certificate: str | None = Field(
        None, description="PEM file of the server's certificates; unset: nothing is encrypted."
    )
    tls_key: str | None = Field(
        None, description="PEM file of its key; unset: it is in the certificate's file."
    )
    tls_callers: str | None = Field(
        None,
        description="PEM file of authorities: only callers with a certificate of one are let in, "
        "from other machines too (mutual TLS).",
    )
    most_candidates: int = Field(10_000, ge=1, description="Longest candidate set of a request.")
    most_history: int = Field(1_000, ge=0, description="Longest history of a request.")
    most_slots: int = Field(100, ge=1, description="Longest list that a request may ask for.")
    most_bytes: int = Field(1 << 20, ge=1024, description="Largest request, in bytes.")
    state_nights: int = Field(
        7, ge=1, description="Newest nights whose users' last states are known to the server."
    )
    popular: int = Field(
        100,
        ge=0,
        description="Items that are offered where a request names none and nothing is known of the "
        "user: those with the most of the north star in these nights. 0: it is refused.",
    )
    retrieved: int = Field(
        0,
        ge=0,
        description="Items that are found by the user's history where a request names none. 0: "
        "those of the user's last decision are offered.",
    )
    fresh_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of what is found that is kept for items the version was not learned on.",
    )
    reload_seconds: float = Field(
        10.0, gt=0, description="How often is looked for another champion, catalogue or states."
    )

    @model_validator(mode="after")
    def _encrypted(self) -> Serving:
        if self.tls_certificate is None and (self.tls_key or self.tls_callers):
            raise ValueError("tls_key and tls_callers need tls_certificate: set that too")
        return self


class Spark(_Section):
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


class Notify(_Section):
    """Who hears of a failed, stopped, stale, refused or promoted night, and of decisions."""

    command: list[str] = Field(
        default=[], description="Command and arguments; the event comes as JSON on standard input."
    )
    webhook: str | None = Field(None, description="URL that gets the event as a JSON POST.")


class Report(_Section):
    """Pages that people read."""

    language: Language = Field(
        "en",
        description="Of the review page and of a night's summary: en (English) or zh (Chinese). "
        "Ledger, memo and logs are records and stay English. A page that was written keeps its "
        "language.",
    )


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
            _leave_out(data["inputs"][table], self.inputs.table(table), _ADDED_TO_TABLES)
        for objective in data["objectives"]:
            if objective["discount"] == 0:
                objective.pop("discount")
        for section, names in _ADDED.items():
            _leave_out(data[section], getattr(self, section), names)
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
