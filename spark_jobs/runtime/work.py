"""Small Spark jobs side by side: while the driver plans one, the other keeps the cores busy."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import ParamSpec, TypeVar

from pyspark import StorageLevel
from pyspark.sql import DataFrame

from spark_jobs.runtime.session import is_small

P = ParamSpec("P")
T = TypeVar("T")
_THREADS = 2


class Work:
    """Background jobs and kept frames of one run; both end with the ``with`` block.

    Leaving the block waits for every job and raises the first error of one.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS)
        self._started: list[Future[object]] = []
        self._kept: list[Callable[[], object]] = []
        self._plans: list[DataFrame] = []

    def start(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run ``job`` in the background."""
        future = self._pool.submit(job, *args, **kwargs)
        self._started.append(future)  # type: ignore[arg-type]
        return future

    def keep(self, rows: DataFrame) -> DataFrame:
        """``rows``, made once, at their first use, and kept until the block ends.

        Of a small night, going over plans is most of the work, and each step goes over the whole
        plan below it: there, what is made of kept rows has a plan that begins with them. Elsewhere
        Spark is left the plan, to read few columns of many, and to make again what was lost with
        another machine.
        """
        level = StorageLevel.MEMORY_AND_DISK
        if not is_small(rows.sparkSession):
            self._kept.append(rows.persist(level).unpersist)
            return rows
        kept = rows.localCheckpoint(eager=False, storageLevel=level)
        # Spark would forget what the plan counts while tasks of another job still count into it.
        self._plans.append(rows)
        # Spark has no word for it; of a checkpoint the plan is its RDD.
        held = kept._jdf.queryExecution().logical().rdd()
        self._kept.append(partial(held.unpersist, False))
        return kept

    def free(self) -> None:
        """Free what the kept frames hold."""
        for release in self._kept:
            release()
        self._plans.clear()

    def __enter__(self) -> Work:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._pool.shutdown(wait=True, cancel_futures=error is not None)
            if error is None:
                for future in self._started:
                    future.result()
        finally:
            self.free()
