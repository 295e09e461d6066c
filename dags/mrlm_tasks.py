"""What the DAGs share: which night a run is about, and how a task runs a command.

A task runs the very command that a person would type, in a process of its own, so that it can move
to a container or a cluster unchanged, and nothing heavy is imported here.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from mrlm.messages.message import Message
from pipelines.local import warm_client
from pipelines.settings.form_language import told

# The exit codes (pipelines/failures/errors.py) that a retry cannot change: the command, the data,
# the program.
_FINAL = {2: "wrong command", 10: "wrong data or settings", 70: "the program failed"}

# Schemas of parameters: the longest texts are those of the commands.
RUN_KEY = {"pattern": "^[A-Za-z0-9][A-Za-z0-9._:/-]*$", "maxLength": 200}
# One line: neither control characters nor those that turn text round.
_LINE = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u2069]*$"
NAME = {"pattern": _LINE, "maxLength": 200}
REASON = {"pattern": _LINE, "maxLength": 2000}
NIGHT: dict[str, Any] = {"format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
FIRST_NIGHT = {"type": "string", "title": told(Message("First night")), **NIGHT}
LAST_NIGHT = {"type": "string", "title": told(Message("Last night")), **NIGHT}
FORCE = {"type": "boolean", "title": told(Message("Run stages again although nothing changed"))}
WEIGHTS = {
    "maxProperties": 100,
    "propertyNames": {"pattern": "^[a-z][a-z0-9_]{0,63}$"},
    "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1_000_000},
}


def night_of(context: Mapping[str, Any]) -> str:
    """The night of a run: partition key, parameter, data interval, logical date, in this order.

    Raises:
        AirflowFailException: the run carries none of them, or no date.
    """
    run = context.get("dag_run")
    key = getattr(run, "partition_key", None)
    if key:
        return _date(str(key)[:10])
    night = (context.get("params") or {}).get("night")
    if night:
        return _date(str(night))
    for name in ("data_interval_start", "logical_date"):
        moment = getattr(run, name, None) or context.get(name)
        if moment is not None:
            return moment.date().isoformat()  # type: ignore[no-any-return]
    raise AirflowFailException(
        "this run names no night: trigger it with the parameter night, such as 2026-11-20"
    )


def _date(night: str) -> str:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", night, re.ASCII):
        raise AirflowFailException(f"night {night[:40]!r} is not a date like 2026-11-20")
    return night


def arguments_of(params: Mapping[str, Any], *, stage: bool) -> list[str]:
    """Options of the command that stand for a run's parameters."""
    options: list[str] = []
    if params.get("weights"):
        options += ["--weights", json.dumps(params["weights"], sort_keys=True)]
    if params.get("learner"):
        options += ["--learner", str(params["learner"])]
    if params.get("force") and stage:
        options.append("--force")
    if params.get("dry_run") and not stage:
        options.append("--dry-run")
    return options


def run_mrlm(options: list[str], *positionals: str) -> dict[str, Any]:
    """Run ``mrlm`` in a process of its own and return the last line of JSON that it prints.

    Args:
        options: the command's name and its options.
        positionals: what follows them: never taken for an option, whatever it begins with.

    Raises:
        AirflowFailException: what is wrong is nothing that a retry can mend.
        RuntimeError: it failed otherwise; Airflow retries.
    """
    root = Path(__file__).resolve().parent.parent
    arguments = [*options, "--", *positionals] if positionals else options
    command = [sys.executable, "-m", "pipelines.cli", *arguments]
    print("running:", " ".join(command), flush=True)  # noqa: T201 - the task's log
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    running = warm_client.start(command, root, environment)
    last = "{}"
    try:
        for line in running.lines():
            print(line, end="", flush=True)  # noqa: T201
            last = line.strip() if line.startswith("{") else last
        code = running.wait()
    finally:
        running.end()
    if code in _FINAL:
        raise AirflowFailException(f"{' '.join(arguments)}: {_FINAL[code]}, see the log")
    if code != 0:
        raise RuntimeError(f"{' '.join(arguments)} ended with code {code}; it will be retried")
    return dict(json.loads(last))
