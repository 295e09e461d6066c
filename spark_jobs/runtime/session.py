"""The Spark session of every job."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from spark_jobs.runtime import class_archive, kept_java
from spark_jobs.runtime.java import java_home

# The binary literals are the padded key of the pseudonyms: plans never show them.
_KEY_LITERALS = "0x[0-9A-Fa-f]{64,}|X'[0-9A-Fa-f]{64,}'"

# A small night takes seconds: on few cores, optimising compilers and parallel collectors cost more
# than they bring (measured: half the processor time of an ingestion). The code cache that goes with
# the simple compiler fills up after a few nights, and Java would go on without compiling.
_SHORT_LIVED = " -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m"
_LONG_LIVED = " -XX:+UseParallelGC"

# Smaller inputs get the small session; a partition of a shuffle is to hold about so much.
LARGE_BYTES = 100 << 20
_PARTITION_BYTES = 64 << 20

# What decides the night and the value of a row, and hides the key: a cluster's defaults do not.
_FIXED = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.mapKeyDedupPolicy": "LAST_WIN",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.redaction.string.regex": _KEY_LITERALS,
    "spark.sql.redaction.string.regex": _KEY_LITERALS,
}

# What Spark itself takes for secrets (spark.redaction.regex).
_SECRET = re.compile("(?i)secret|password|token|access[.]?key")

_LOGGING = """rootLogger.level = error
rootLogger.appenderRef.stderr.ref = stderr
# Otherwise Spark resets the level for what it takes for an interactive shell.
logger.gateway.name = org.apache.spark.api.python.PythonGatewayServer
logger.gateway.level = error
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{HH:mm:ss} spark %p %c{1}: %m%n%ex{short}
"""


@dataclass(frozen=True)
class Fit:
    """What a session of one machine is started with, unless its caller says otherwise.

    Attributes:
        master: Spark's, with the number of cores.
        driver_memory: Java's heap, as Spark writes it.
        shuffle_partitions: of a shuffle, before Spark joins small ones.
        optimised: whether code is generated for stages, and plans and code are optimised as they
            run.
    """

    master: str
    driver_memory: str
    shuffle_partitions: int
    optimised: bool


@dataclass
class _Running:
    """What runs in this process.

    Attributes:
        optimised: whether the session is an optimised one; None while none was started here.
        java: its Java, where it may be handed on.
        standard_input: the hold on it, where another process started it.
        shelf: where it is handed on, if it is.
    """

    optimised: bool | None = None
    java: kept_java.KeptJava | None = None
    standard_input: int | None = None
    shelf: kept_java.Shelf | None = None


_running = _Running()


def fit(size: int) -> Fit:
    """What suits an input of so many bytes of text.

    Compiling a stage's code costs more than it brings where a night takes seconds, and saves half
    of a night that takes minutes.
    """
    if size < LARGE_BYTES:
        return Fit("local[2]", "2g", 4, optimised=False)
    partitions = min(max(size // _PARTITION_BYTES, 8), 200)
    return Fit("local[*]", "4g", int(partitions), optimised=True)


def spark_session(
    master: str | None = None,
    driver_memory: str | None = None,
    shuffle_partitions: int | None = None,
    config: Mapping[str, str] | None = None,
    java: Literal["auto", "packaged"] = "auto",
    size: int = 0,
    java_options: str = "",
) -> Any:
    """Start, or return, this process's SparkSession.

    UTC, no user interface, no progress bar, errors only on standard error; scratch and warehouse
    folders lie in a temporary folder that is removed at exit. ``config`` wins over all of it.

    A session that was started here for small inputs is ended, and another one started, when a large
    one comes: its compiler cannot be changed. Tables of the old session are gone with it.

    Where ``spark-submit`` started this process, what it was told holds for whatever is not given
    here: its master above all, and a Java that runs already. What decides what rows say is ours
    (``_FIXED``): a time zone in a cluster's defaults would move rows to other nights.

    Args:
        master: None, as the following two: what ``spark-submit`` or else ``fit(size)`` says.
        driver_memory: Java's heap.
        shuffle_partitions: of a shuffle.
        config: more of Spark's settings.
        java: see ``java_home``.
        size: bytes of text that will be read.
        java_options: Java's, instead of those that have it read the archive of its classes.

    Raises:
        RuntimeError: no Java was found.
    """
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    wanted = fit(size)
    # The active session is one thread's; the context is the process's.
    if SparkContext._active_spark_context is not None:
        if _running.optimised is not False or not wanted.optimised:
            return SparkSession.builder.getOrCreate()
        end_java()
    submitted = _submitted()
    given = {
        "spark.master": master,
        "spark.driver.memory": driver_memory,
        "spark.sql.shuffle.partitions": shuffle_partitions,
        **(config or {}),
    }
    own = {name: str(value) for name, value in given.items() if value is not None}
    named = {**submitted, **own}
    master = named.pop("spark.master", wanted.master)
    scratch = Path(tempfile.mkdtemp(prefix="mrlm-spark-"))
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    logging = scratch / "log4j2.properties"
    logging.write_text(_LOGGING)
    home = java_home(java)
    os.environ["JAVA_HOME"] = str(home)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    local = master.startswith("local")
    options = f"-Dlog4j2.configurationFile=file:{logging}"
    if local:
        options += _LONG_LIVED if wanted.optimised else _SHORT_LIVED
        options += java_options or class_archive.reading(home)
    settings = _always(wanted, scratch, options)
    if local:
        settings |= _on_one_machine(wanted.optimised)
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    settings |= named
    if not submitted:
        _start_java({"spark.master": master, **settings}, str(scratch), str(home))
    builder = SparkSession.builder.master(master).appName("mrlm")
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    # A Java that ``spark-submit`` started is not ours to end.
    _running.optimised = wanted.optimised or bool(submitted)
    return session


def _always(wanted: Fit, scratch: Path, java_options: str) -> dict[str, str]:
    """Settings of every session, wherever it runs."""
    return {
        **_FIXED,
        "spark.driver.memory": wanted.driver_memory,
        "spark.driver.extraJavaOptions": java_options,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.local.dir": str(scratch / "local"),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.sql.shuffle.partitions": str(wanted.shuffle_partitions),
        # The generated code of one night serves the next; the default forgets it within a night.
        "spark.sql.codegen.cache.maxEntries": "2000",
        # Else each operation on a column asks Java for the session and reads the stack, to name the
        # line of ours in an error: a tenth of a small night.
        "spark.python.sql.dataFrameDebugging.enabled": "false",
        # Nobody looks at the plans, and printing them takes a twentieth of a small job.
        "spark.sql.maxPlanStringLength": "1000",
        # Nor at what has run: by default a thousand jobs and plans are kept for pages that are off,
        # and the memory of a long history would grow with its nights.
        "spark.ui.retainedJobs": "100",
        "spark.ui.retainedStages": "100",
        "spark.ui.retainedTasks": "1000",
        "spark.sql.ui.retainedExecutions": "100",
        # Whoever waits for a broadcast may wait for a whole night's rows to be looked through.
        "spark.sql.broadcastTimeout": "36000",
    }


def _on_one_machine(optimised: bool) -> dict[str, str]:
    """Settings of a session whose driver does all the work."""
    again = str(optimised).lower()
    compressed = ("shuffle", "shuffle.spill", "broadcast", "rdd")
    return {
        # Bytes that stay on this machine are cheaper to write than to compress.
        **{f"spark.{kind}.compress": "false" for kind in compressed},
        "spark.sql.inMemoryColumnarStorage.compressed": "false",
        "spark.sql.files.openCostInBytes": "65536",
        "spark.sql.codegen.wholeStage": again,
        # To plan again after every shuffle takes a quarter of a small night, and brings it nothing.
        "spark.sql.adaptive.enabled": again,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
    }


def _submitted() -> dict[str, str]:
    """What ``spark-submit`` was told, but for what is fixed; nothing where it started nothing."""
    from pyspark import SparkConf, SparkContext

    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        return {}
    SparkContext._ensure_initialized()
    return {name: value for name, value in SparkConf().getAll() if name not in _FIXED}


def is_small(spark: Any) -> bool:
    """Whether a session is one of this machine that was started for small inputs."""
    return bool(spark.conf.get("spark.sql.codegen.wholeStage") == "false")


def end_java(seconds: float = 60.0) -> None:
    """End the session and its Java.

    Args:
        seconds: how long to wait for a Java that this process started.

    Raises:
        subprocess.TimeoutExpired: it has not ended by then.
    """
    from pyspark import SparkContext

    SparkContext._active_spark_context.stop()
    gateway = SparkContext._gateway
    gateway.shutdown()
    if _running.java is not None and _running.standard_input is not None:
        kept_java.end(_running.java, _running.standard_input)
    else:
        # Java ends when nobody writes to it any more.
        gateway.proc.stdin.close()
        gateway.proc.wait(timeout=seconds)
    SparkContext._gateway = SparkContext._jvm = None
    _running.optimised = _running.java = _running.standard_input = None


def use_shelf(shelf: kept_java.Shelf) -> None:
    """Take this process's Java from there, if one fits; ``leave_java`` puts it there."""
    _running.shelf = shelf


def leave_java() -> None:
    """End this process's session, if there is one, and leave its Java to the next process."""
    from pyspark import SparkContext

    context, java = SparkContext._active_spark_context, _running.java
    if context is None or java is None or _running.shelf is None:
        return
    context.stop()
    gateway = SparkContext._gateway
    if kept_java.has_room(gateway):
        held = _running.standard_input
        _running.shelf.leave(java, gateway.proc.stdin.fileno() if held is None else held)


def _start_java(settings: Mapping[str, str], scratch: str, home: str) -> None:
    """Start Java with all settings but the secrets, if it does not run yet and none was left.

    Java is given its settings as arguments, which every user of the machine may read. Secrets come
    with the session, over a connection that only this process has.
    """
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway

    if SparkContext._gateway is not None:
        return
    conf = SparkConf(loadDefaults=False)
    for key, value in settings.items():
        if not _SECRET.search(key):
            conf.set(key, value)
    if _running.shelf is None:
        SparkContext._ensure_initialized(conf=conf)
        return
    wanted = kept_java.started_with(settings, scratch, home)
    gateway = _from_shelf(_running.shelf, wanted)
    if gateway is None:
        log = _running.shelf.log
        gateway = launch_gateway(conf, {"stdout": log, "stderr": log})
        about = gateway.gateway_parameters
        _running.java = kept_java.KeptJava(gateway.proc.pid, about.port, about.auth_token, wanted)
    SparkContext._ensure_initialized(gateway=gateway)


def _from_shelf(shelf: kept_java.Shelf, wanted: str) -> Any | None:
    """The gateway to a Java that another process left; None where none fits or answers."""
    found = shelf.take(wanted)
    if found is None:
        return None
    java, standard_input = found
    gateway = kept_java.connected(java)
    if gateway is None:
        kept_java.end(java, standard_input)
        return None
    _running.java, _running.standard_input = java, standard_input
    return gateway
