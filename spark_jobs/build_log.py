"""Clean tables to the bandit log: state, candidate set, propensity and reward vector a decision.

Run alone: ``python -m spark_jobs.build_log job.json``, or the same file through spark-submit.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from mrlm.bandit_log import Objective
from mrlm.bandit_log.stored.schema import DECISIONS, HISTORIES, histories_schema, stored_schema
from spark_jobs.contract.errors import InputError
from spark_jobs.contract.schemas import FEEDBACK, HISTORY, IMPRESSIONS, UNREAD, spark_schema
from spark_jobs.log.rewards import Delivered, events_by_slot, reward_columns, unread_by_slot
from spark_jobs.log.sessions import with_sessions
from spark_jobs.log.user_history import histories
from spark_jobs.runtime import output
from spark_jobs.runtime.work import Work

_ORDER = ("user", "shown", "request_id", "position", "item_id", "event", "known_from")


@dataclass(frozen=True)
class BuildLogJob:
    """Everything that decides what the bandit log of some nights holds.

    Attributes:
        as_of: newest arrival night that may be looked at, ISO date.
        nights: event nights to build.
        impressions: arrival night to folder of clean impressions; those of ``nights``, of the
            nights after them up to the ingestion's ``late_nights``, and of the history.
        feedback: arrival night to folder of clean feedback, likewise.
        unread: arrival night to folder of the slots whose event could not be read, likewise.
        objectives: the reward vector.
        history_objective: name of the feedback objective that comes first in the histories.
        out: folder to write; ``night=<date>`` of each night in it is replaced.
        history: arrival night to folder of clean events that name no request, likewise.
        excluded: event nights whose impressions are not trusted: neither built nor in a history.
        delivered: objective to what is known of its deliveries.
        history_length: most recent entries that are kept of a user before the night's decisions;
            a decision reads so many of these and of the night's own.
        history_nights: how far back the history reaches.
        session_gap_minutes: a longer pause starts a new session, where the log names none.
    """

    as_of: str
    nights: tuple[str, ...]
    impressions: dict[str, str]
    feedback: dict[str, str]
    objectives: tuple[Objective, ...]
    history_objective: str
    out: str
    excluded: tuple[str, ...] = ()
    history: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    delivered: dict[str, Delivered] = field(default_factory=dict)
    history_length: int = 200
    history_nights: int = 30
    session_gap_minutes: int = 30

    def to_json(self) -> str:
        """The job as JSON, keys sorted."""
        return json.dumps(asdict(self), sort_keys=True, indent=1, default=sorted)

    @classmethod
    def from_json(cls, text: str) -> BuildLogJob:
        """The inverse of ``to_json``."""
        data = json.loads(text)
        data["objectives"] = tuple(Objective(**o) for o in data["objectives"])
        for name in ("nights", "excluded"):
            data[name] = tuple(data.get(name, ()))
        data["delivered"] = {
            name: Delivered(frozenset(d["final"]), frozenset(d["doubtful"]), d["lost"])
            for name, d in data.get("delivered", {}).items()
        }
        return cls(**data)


def run(spark: SparkSession, job: BuildLogJob) -> dict[str, Any]:
    """Build the nights; returns what ``counts.json`` holds.

    Writes ``night=<date>/decisions/*.parquet`` of ``stored_schema(job.objectives)``,
    ``night=<date>/histories/*.parquet`` of ``histories_schema``, and ``counts.json``: night to
    ``{decisions, candidates, rewarded: {objective: decisions with a value}, unknown: {objective:
    decisions whose reward stays unknown}, lost, final}``.

    Raises:
        InputError: no impressions are given, a night is excluded, or the history's objective is
            not among the feedback objectives.
    """
    _check(job)
    with Work() as work:
        known = work.keep(_known(spark, job))
        log = work.keep(_decisions(known, job))
        lookups = work.keep(_histories(spark, known, job))
        counts = _counts(log, job)
        schema = spark_schema(stored_schema(job.objectives))
        entries = spark_schema(histories_schema([o.name for o in _feedback(job)]))
        places = {night: f"{job.out}/night={night}" for night in job.nights}
        for folder in places.values():
            output.replace_folder(folder)
        # One sorted file: the log of a night is read whole, and repeats bit for bit.
        for name, rows, order, columns in (
            (DECISIONS, log, ("ts", "decision_id"), schema),
            (HISTORIES, lookups, _ORDER, entries),
        ):
            within = {night: f"{folder}/{name}" for night, folder in places.items()}
            output.write_sorted(rows, "night", within, columns, order)
    Path(job.out, "counts.json").write_text(json.dumps(counts, sort_keys=True, indent=1))
    return counts


def _known(spark: SparkSession, job: BuildLogJob) -> DataFrame:
    """The slots of the nights' users, with the events of each, by user."""
    slots = _slots(spark, job)
    users = slots.filter(_target(job)).select("user").distinct()
    known = slots.join(users, "user", "left_semi").join(
        events_by_slot(_events(spark, job)), ["request_id", "item_id"], "left"
    )
    unread = unread_by_slot(_unread(spark, job))
    # Everything after this is by user: one shuffle serves the histories, the list and the session.
    return known.join(unread, ["request_id", "item_id"], "left").repartition("user")


def _decisions(known: DataFrame, job: BuildLogJob) -> DataFrame:
    """The decisions of ``job.nights`` as they stood when ``job.as_of`` had been ingested."""
    in_request = Window.partitionBy("user", "request_id").orderBy("position")
    above = F.collect_list("item_id").over(in_request.rowsBetween(Window.unboundedPreceding, -1))
    decisions = known.filter(_target(job)).withColumn("above", above)
    return with_sessions(decisions, job.session_gap_minutes).withColumns(
        {
            "decision_id": F.concat_ws("#", "request_id", F.col("position").cast("string")),
            "action": (F.array_position("candidates", F.col("item_id")) - 1).cast("int"),
            **reward_columns(job.objectives, job.delivered),
        }
    )


def _histories(spark: SparkSession, known: DataFrame, job: BuildLogJob) -> DataFrame:
    """What the decisions of each night look back on."""
    return histories(
        known,
        known.filter(_target(job)),
        _feedback(job),
        job.history_length,
        job.history_nights,
        _told(spark, job),
    )


def _target(job: BuildLogJob) -> Column:
    return F.col("night").isin(*[F.to_date(F.lit(n)) for n in job.nights])


def _feedback(job: BuildLogJob) -> list[Objective]:
    """The feedback objectives, the history's first."""
    feedback = [o for o in job.objectives if o.source == "feedback"]
    return sorted(feedback, key=lambda o: o.name != job.history_objective)


def _check(job: BuildLogJob) -> None:
    if not job.impressions:
        raise InputError("no impressions to build from: no night has been ingested and passed yet")
    both = sorted(set(job.nights) & set(job.excluded))
    if both:
        raise InputError(f"nights {both} are excluded and cannot be built")
    feedback = [o.name for o in job.objectives if o.source == "feedback"]
    if job.history_objective not in feedback:
        raise InputError(
            f"state.history_objective {job.history_objective!r} is none of the feedback "
            f"objectives {feedback}"
        )


def _slots(spark: SparkSession, job: BuildLogJob) -> DataFrame:
    """The shown slots of the nights to build and of their histories."""
    folders = [f for n, f in sorted(job.impressions.items()) if n <= job.as_of]
    rows = spark.read.schema(IMPRESSIONS).parquet(*folders)
    oldest = F.date_sub(F.to_date(F.lit(min(job.nights))), job.history_nights)
    newest = F.to_date(F.lit(max(job.nights)))
    rows = rows.filter(F.col("night").between(oldest, newest))
    if job.excluded:
        rows = rows.filter(~F.col("night").isin(*[F.to_date(F.lit(n)) for n in job.excluded]))
    return rows


def _events(spark: SparkSession, job: BuildLogJob) -> DataFrame:
    """The events that some objective reads."""
    folders = [f for n, f in sorted(job.feedback.items()) if n <= job.as_of]
    if not folders:
        return output.empty(spark, FEEDBACK)
    rows = spark.read.schema(FEEDBACK).parquet(*folders)
    return rows.filter(F.col("event").isin(*sorted({o.event for o in _feedback(job)})))


def _told(spark: SparkSession, job: BuildLogJob) -> DataFrame | None:
    """Events of users that name no request; None where no night has any."""
    folders = [f for n, f in sorted(job.history.items()) if n <= job.as_of]
    return output.read(spark, folders, HISTORY)


def _unread(spark: SparkSession, job: BuildLogJob) -> DataFrame:
    folders = [f for n, f in sorted(job.unread.items()) if n <= job.as_of]
    return spark.read.schema(UNREAD).parquet(*folders) if folders else output.empty(spark, UNREAD)


def _counts(log: DataFrame, job: BuildLogJob) -> dict[str, Any]:
    names = [o.name for o in job.objectives if o.source == "feedback"]
    none = dict.fromkeys(names, 0)
    empty = {"decisions": 0, "candidates": 0, "rewarded": none, "unknown": none}
    counts: dict[str, Any] = {n: {**empty} for n in job.nights}
    grouped = log.groupBy(F.col("night").cast("string").alias("night")).agg(
        F.count("*").alias("decisions"),
        F.sum(F.size("candidates")).alias("candidates"),
        *[F.count(f"reward_{n}").alias(f"_{n}") for n in names],
        *[F.count_if(f"unknown_{n}").alias(f"_unknown_{n}") for n in names],
    )
    for row in grouped.collect():
        counts[row["night"]] = {
            "decisions": row["decisions"],
            "candidates": row["candidates"],
            "rewarded": {n: row[f"_{n}"] for n in names},
            "unknown": {n: row[f"_unknown_{n}"] for n in names},
        }
    for night, found in counts.items():
        delivered = {n: job.delivered.get(n, Delivered()) for n in names}
        found["final"] = {n: night in d.final for n, d in delivered.items()}
        found["lost"] = {n: d.lost.get(night, 0) for n, d in delivered.items()}
    return counts


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job in the JSON file that the first argument names; counts go to standard output."""
    from spark_jobs.runtime.session import spark_session

    (path,) = sys.argv[1:] if argv is None else argv
    counts = run(spark_session(), BuildLogJob.from_json(Path(path).read_text()))
    sys.stdout.write(json.dumps(counts, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
