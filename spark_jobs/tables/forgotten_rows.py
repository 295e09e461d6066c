"""People who were forgotten: their rows are dropped, counted, and not kept in quarantine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_jobs.contract.schemas import FORGOTTEN

REASON = "forgotten"


@dataclass(frozen=True)
class ForgottenRows:
    """Salted hashes of whom and what is dropped: no name stands in the list.

    Attributes:
        salt: of all hashes.
        users: SHA-256 of salt and pseudonym, hexadecimal.
        requests: folders of tables of ``FORGOTTEN``, of other nights.
    """

    salt: str = ""
    users: tuple[str, ...] = ()
    requests: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ForgottenRows:
        """The inverse of ``dataclasses.asdict``, of JSON too."""
        lists = {name: tuple(data.get(name, ())) for name in ("users", "requests")}
        return cls(data.get("salt", ""), **lists)

    def is_user(self, pseudonym: Column) -> Column:
        """True for the pseudonym of somebody who was forgotten."""
        if not self.users:
            return F.lit(False)
        return F.coalesce(self._salted(pseudonym).isin(*self.users), F.lit(False))

    def requests_of(self, rows: DataFrame) -> DataFrame:
        """Of categorised impressions those that were dropped: ``FORGOTTEN``, and ``arrival``."""
        theirs = rows.filter((F.col("_reason") == REASON) & F.col("request_id").isNotNull())
        request = self._salted(F.col("request_id")).alias("request")
        return theirs.select(request, "arrival").distinct()

    def without_requests(self, feedback: DataFrame, tonight: DataFrame) -> DataFrame:
        """Typed feedback whose ``_reason`` says what belongs to a dropped request.

        Args:
            feedback: with ``request_id``, ``arrival`` and ``_reason``.
            tonight: see ``requests_of``; a request counts from its arrival on.
        """
        spark: SparkSession = feedback.sparkSession
        always = F.to_date(F.lit("0001-01-01")).alias("arrival")
        earlier = [spark.read.schema(FORGOTTEN).parquet(f) for f in self.requests]
        known = reduce(
            DataFrame.unionByName, [tonight, *(e.select("request", always) for e in earlier)]
        )
        since = known.groupBy("request").agg(F.min("arrival").alias("_gone"))
        request = self._salted(F.col("request_id"))
        joined = feedback.withColumn("request", request).join(F.broadcast(since), "request", "left")
        reason = F.when(F.col("_gone") <= F.col("arrival"), REASON).otherwise(F.col("_reason"))
        return joined.withColumn("_reason", reason).drop("request", "_gone")

    def _salted(self, column: Column) -> Column:
        return F.sha2(F.concat(F.lit(self.salt), column), 256)


def is_kept(reason: Column) -> Column:
    """False for rows of which nothing is kept but their number."""
    return F.coalesce(reason != REASON, F.lit(True))
