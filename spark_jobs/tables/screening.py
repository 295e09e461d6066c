"""Rows that are no user's: test traffic, impossible values, impossible speeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

_SECONDS = 60


@dataclass(frozen=True)
class ScreeningRules:
    """What is quarantined by the deployment's own rules; each is off by default.

    Attributes:
        test_users: user ids of test traffic; ``*`` stands for any text.
        test_policies: policy ids of test traffic, likewise.
        value_limits: event to the lowest and the highest value that it can have.
        requests_per_minute: nobody makes more; None for no limit.
    """

    test_users: tuple[str, ...] = ()
    test_policies: tuple[str, ...] = ()
    value_limits: dict[str, tuple[float, float]] = field(default_factory=dict)
    requests_per_minute: int | None = None

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ScreeningRules:
        """The inverse of ``dataclasses.asdict``, of JSON too."""
        limits = {k: (low, high) for k, (low, high) in data["value_limits"].items()}
        names = {n: tuple(data[n]) for n in ("test_users", "test_policies")}
        return cls(**{**data, **names, "value_limits": limits})

    def test_traffic(self, user_id: Column, policy_id: Column) -> Column:
        """True for impressions of test traffic."""
        return _matches(user_id, self.test_users) | _matches(policy_id, self.test_policies)

    def impossible_value(self, event: Column, value: Column) -> Column:
        """True for an event whose value it cannot have."""
        found = F.lit(False)
        for name, (low, high) in sorted(self.value_limits.items()):
            found = found | ((event == name) & ~value.between(low, high))
        return found

    def impossible_speed(self, rows: DataFrame) -> DataFrame | None:
        """``arrival`` and ``user`` of those with more requests in a minute than people make.

        None without a limit.

        Args:
            rows: arrival, user, ts, request_id.
        """
        if self.requests_per_minute is None:
            return None
        minute = F.floor(F.unix_seconds("ts") / _SECONDS)
        counted = rows.groupBy("arrival", "user", minute.alias("_minute")).agg(
            F.count_distinct("request_id").alias("_requests")
        )
        fast = counted.filter(F.col("_requests") > self.requests_per_minute)
        return fast.filter("user is not null").select("arrival", "user").distinct()


def _matches(column: Column, patterns: Sequence[str]) -> Column:
    found = [column.like(_like(p)) for p in patterns]
    return F.coalesce(reduce(Column.__or__, found, F.lit(False)), F.lit(False))


def _like(pattern: str) -> str:
    for special in ("\\", "%", "_"):
        pattern = pattern.replace(special, f"\\{special}")
    return pattern.replace("*", "%")
