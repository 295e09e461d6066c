"""What the ingest stage takes in, what a night is to it, and what it quarantines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal
from zoneinfo import available_timezones

from pydantic import Field, field_validator

from pipelines.settings.section import Section
from spark_jobs.contract.nearest import meant

if TYPE_CHECKING:
    from spark_jobs.contract.clock import NightClock
    from spark_jobs.tables.screening import ScreeningRules


def time_zones() -> set[str]:
    """IANA names of time zones, as settings take them."""
    # Names of the database's own files, which are no place's.
    return available_timezones() - {"Factory", "localtime"}


class Screening(Section):
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


class Ingestion(Section):
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
