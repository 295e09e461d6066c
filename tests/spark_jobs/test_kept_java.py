"""A Java outlives a process that ended well, serves the next that needs the same, and no other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked"),
]

# What each process of the family does: a session of its own, and how it ends.
FAMILY = """
import json, os, signal, sys
from pathlib import Path
from spark_jobs.runtime import session
from spark_jobs.runtime.kept_java import Shelf

told = Path(sys.argv[1])
shelf = Shelf()

def process(name, ending, config):
    child = os.fork()
    if child:
        return os.waitpid(child, 0)
    session.use_shelf(shelf)
    spark = session.spark_session(config={"spark.driver.memory": "600m", **config})
    java = spark._jvm.java.lang.management.ManagementFactory.getRuntimeMXBean()
    # A table of one session is none of the next one's.
    views = [t.name for t in spark.catalog.listTables()]
    spark.range(100).createOrReplaceTempView("mine")
    sums = spark.sql("SELECT sum(id) FROM mine").first()[0]
    partitions = spark.conf.get("spark.sql.shuffle.partitions")
    (told / name).write_text(json.dumps([java.getPid(), sums, views, partitions]))
    if ending == "well":
        session.leave_java()
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)

process("first", "well", {})
os.environ["AIRFLOW_CTX_TASK_ID"] = "another task"
process("second", "well", {})
process("other settings", "well", {"spark.sql.shuffle.partitions": "3"})
process("killed", "killed", {"spark.sql.shuffle.partitions": "3"})
os.environ["AWS_PROFILE"] = "of somebody else"
process("after it", "well", {"spark.sql.shuffle.partitions": "3"})
os.kill(json.loads((told / "after it").read_text())[0], signal.SIGKILL)
process("after a dead one", "well", {"spark.sql.shuffle.partitions": "3"})
"""


def runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_it_serves_those_that_need_the_same_and_ends_with_who_was_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FAMILY, str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    told = {p.name: json.loads(p.read_text()) for p in tmp_path.iterdir()}
    java = {name: found[0] for name, found in told.items()}
    assert [found[1:3] for found in told.values()] == [[4950, []]] * 6
    assert {name: found[3] for name, found in told.items()} == {
        "first": "4",
        "second": "4",
        "other settings": "3",
        "killed": "3",
        "after it": "3",
        "after a dead one": "3",
    }
    assert java["first"] == java["second"]
    assert java["other settings"] == java["killed"]
    assert len(set(java.values())) == 4
    # Nobody of the family is left, so the last one ends by itself.
    deadline = time.monotonic() + 60
    while [p for p in java.values() if runs(p)]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
