"""Sessions: as logged, or cut where a user pauses."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

ORDER = ("ts", "request_id", "position")


def with_sessions(slots: DataFrame, gap_minutes: int) -> DataFrame:
    """``slots`` with ``session`` and ``session_step``, int from 0 in the order of time.

    Without a logged ``session_id``, a pause of more than ``gap_minutes`` since the user's last
    slot of the night starts a new session.
    """
    by_user = Window.partitionBy("user", "night").orderBy(*ORDER)
    at = F.unix_micros("ts")
    pause = at - F.lag(at).over(by_user)
    cut = slots.withColumn("_cut", (pause > gap_minutes * 60_000_000).cast("int"))
    number = F.coalesce(F.sum("_cut").over(by_user), F.lit(0))
    own = F.concat_ws("#", "user", F.col("night").cast("string"), number.cast("string"))
    named = cut.withColumn("session", F.coalesce("session_id", own))
    by_session = Window.partitionBy("user", "night", "session").orderBy(*ORDER)
    step = (F.row_number().over(by_session) - 1).cast("int")
    return named.withColumn("session_step", step).drop("_cut")
