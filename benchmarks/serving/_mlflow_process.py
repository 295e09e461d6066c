"""``mlflow models serve`` on a version of a registry, in a process of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from benchmarks.serving import _version
from benchmarks.serving._load import Server
from mrlm.promotion.registry.place import RegistryPlace
from mrlm.promotion.registry.registration import VersionContent, register_version
from mrlm.promotion.registry.versions import CHAMPION, set_alias
from mrlm.promotion.reproduction.reproduction import reproduction_rows, write_reproduction
from mrlm.promotion.serving.live import LiveRequest, LiveVersion

# Seconds that it may take to answer its first ping: it imports MLflow twice and reads the version.
_PATIENCE = 300.0


@contextmanager
def started(live: LiveVersion) -> Iterator[Server]:
    """A server of the champion of a registry made for it; both end with the block.

    Raises:
        RuntimeError: the server ends before it answers, or does not answer in time.
    """
    with tempfile.TemporaryDirectory() as scratch:
        place = _registered(live, Path(scratch))
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"]
        command += ["-m", f"models:/{place.model}@{CHAMPION}", "-p", str(port)]
        printed = Path(scratch) / "printed"
        with printed.open("w") as out:
            server = subprocess.Popen(command, env=_environment(place), stdout=out, stderr=out)
        try:
            _wait(server, port, printed)
            yield Server(port, server.pid)
        finally:
            server.terminate()
            server.wait()


def body(asked: LiveRequest) -> bytes:
    """The request as MLflow takes it, one row."""
    history = asked.history or ()
    names = sorted({n for e in history for n in e.rewards})
    row = {
        "request_id": asked.request_id,
        "user": asked.user,
        "candidates": asked.candidates,
        "history_items": [e.item_id for e in history],
        "history_rewards": {n: [e.rewards[n] for e in history] for n in names},
    }
    return json.dumps({"dataframe_records": [row], "params": {"k": asked.k}}).encode()


def _registered(live: LiveVersion, folder: Path) -> RegistryPlace:
    _version.save(live, folder / "bundle")
    rows = reproduction_rows(live.bundle.policy, _version.decisions(live, 4, 4), 4)
    write_reproduction(rows, folder / "rows.parquet")
    place = RegistryPlace(folder / "registry")
    content = VersionContent(
        "2026-11-20/bench", "2026-11-20", folder / "bundle", folder / "rows.parquet", ""
    )
    version = register_version(place, content, actor="benchmark").version
    with place.locked("benchmark"):
        set_alias(place, CHAMPION, version)
    return place


def _environment(place: RegistryPlace) -> dict[str, str]:
    """One thread, as ``mrlm serve`` computes; MLflow calls uvicorn by its name."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"MLFLOW_TRACKING_URI": place.uri, "MLFLOW_REGISTRY_URI": place.uri, "PATH": path}
    return {**os.environ, **own, "OMP_NUM_THREADS": "1"}


def _wait(server: subprocess.Popen[bytes], port: int, printed: Path) -> None:
    latest = time.monotonic() + _PATIENCE
    while time.monotonic() < latest and server.poll() is None:
        connection = HTTPConnection("127.0.0.1", port)
        try:
            connection.request("GET", "/ping")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.2)
        finally:
            connection.close()
    raise RuntimeError(f"MLflow's server does not answer; it printed:\n{printed.read_text()}")
