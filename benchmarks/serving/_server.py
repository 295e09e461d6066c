"""The program's own HTTP interface over a version in a folder: ``python -m … FOLDER``."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import uvicorn
from threadpoolctl import threadpool_limits

from benchmarks.serving import _version
from benchmarks.serving._load import Server
from benchmarks.serving._requests import NOW
from mrlm.promotion.serving.live import LiveRequest, LiveVersion
from pipelines.serving.app import Service, make_app
from pipelines.serving.current import Answering, LiveSources
from pipelines.serving.impression_log import ImpressionLog
from pipelines.settings.model import Settings


@dataclass
class _Current:
    """One version that nothing takes over from."""

    answering: Answering
    reloads: int = 0


@contextmanager
def started(live: LiveVersion) -> Iterator[Server]:
    """A server in a process of its own, which ends with the block."""
    with tempfile.TemporaryDirectory() as folder:
        _version.save(live, Path(folder) / "bundle")
        command = [sys.executable, "-m", "benchmarks.serving._server", folder]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            if server.stdout is None:
                raise RuntimeError("the server has no output")
            yield Server(int(server.stdout.readline()), server.pid)
        finally:
            server.terminate()
            server.wait()


def body(asked: LiveRequest) -> bytes:
    """The request as the server takes it."""
    history = [asdict(e) for e in asked.history or ()]
    sent = {"user_id": "u", "candidates": asked.candidates, "history": history, "k": 1}
    return json.dumps(sent).encode()


def main(folder: Path) -> None:
    """Print the port, then serve."""
    live = _version.load(folder / "bundle")
    given = {
        "workspace": folder,
        "inputs": {t: {"path": "x"} for t in ("impressions", "feedback", "items")},
        "state": {"history_objective": "like"},
        "objectives": [asdict(o) for o in live.bundle.objectives],
    }
    settings = Settings.model_validate(given)
    log = ImpressionLog(str(folder / "{night}"), {}, settings.ingestion, "second")
    answering = Answering(live, LiveSources(1, None, ()), NOW)
    service = Service(_Current(answering), log, settings, lambda user: user, "")  # type: ignore[arg-type]
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(make_app(service), access_log=False, log_level="warning")
    with threadpool_limits(1):
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
