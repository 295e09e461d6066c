"""Ids that a log does not have: put together of columns, they may have a user's id in them."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_jobs.reading.raw import RawTable
from spark_jobs.tables.pseudonyms import pseudonym


def with_keyed_ids(raw: RawTable, key: bytes) -> DataFrame:
    """``raw.rows``, with pseudonyms in place of the ids that are ``raw.joined``."""
    names = [f.name for f in raw.fields if f.name in raw.joined]
    return raw.rows.withColumns({name: pseudonym(F.col(name), key) for name in names})
