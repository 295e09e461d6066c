"""A cluster of Spark's own, on this machine: its processes share nothing but files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pyspark

from spark_jobs.runtime.java import java_home

SPARK = Path(pyspark.__file__).parent
EXECUTORS = {
    "spark.executor.memory": "512m",
    "spark.executor.cores": "1",
    "spark.driver.host": "127.0.0.1",
}
_DEPLOY = "org.apache.spark.deploy"
_SECONDS = 120


class Cluster:
    """A master, and a worker of two cores, which has room for two of ``EXECUTORS``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self.environment = {
            **os.environ,
            "JAVA_HOME": str(java_home("auto")),
            "SPARK_HOME": str(SPARK),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_DAEMON_MEMORY": "256m",
            "SPARK_DAEMON_JAVA_OPTS": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
            "PYSPARK_PYTHON": sys.executable,
            "PYTHONPATH": str(Path.cwd()),
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Both, until they know each other."""
        self._daemon(f"{_DEPLOY}.master.Master", "--port", "0")
        self.url = self._said("Master", r"Starting Spark master at (spark://\S+)")
        room = ("-c", "2", "-m", "1100m", "--work-dir", str(self.folder / "work"))
        self._daemon(f"{_DEPLOY}.worker.Worker", *room, self.url)
        self._said("Worker", "(Successfully registered)")

    def run(self, *command: str, **more: str) -> str:
        """Standard output of a command that ends well."""
        environment = {**self.environment, **more}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def log(self, name: str) -> str:
        """What ``Master`` or ``Worker`` has written."""
        return (self.folder / f"{name}.log").read_text()

    def stop(self) -> None:
        """End both."""
        for process in reversed(self._processes):
            process.terminate()
            process.wait(60)

    def _daemon(self, main: str, *arguments: str) -> None:
        place = ("--host", "127.0.0.1", "--webui-port", "0")
        command = [str(SPARK / "bin" / "spark-class"), main, *place, *arguments]
        with (self.folder / f"{main.rpartition('.')[2]}.log").open("wb") as log:
            started = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        self._processes.append(started)

    def _said(self, name: str, pattern: str) -> str:
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            found = re.search(pattern, self.log(name))
            if found:
                return found[1]
            time.sleep(0.2)
        raise TimeoutError(self.log(name))
