"""Small Spark jobs side by side: while the driver plans one, the other keeps the cores busy."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import ParamSpec, TypeVar

from pyspark import StorageLevel
from pyspark.sql import DataFrame

P = ParamSpec("P")
T = TypeVar("T")
_THREADS = 2


class Work:
    """Background jobs and persisted frames of one run; both end with the ``with`` block.

    Leaving the block waits for every job and raises the first error of one.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS)
        self._started: list[Future[object]] = []
        self._kept: list[DataFrame] = []

    def start(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run ``job`` in the background."""
        future = self._pool.submit(job, *args, **kwargs)
        self._started.append(future)  # type: ignore[arg-type]
        return future

    def keep(self, rows: DataFrame) -> DataFrame:
        """Persist ``rows`` until the block ends."""
        self._kept.append(rows.persist(StorageLevel.MEMORY_AND_DISK))
        return rows

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
            for rows in self._kept:
                rows.unpersist()
