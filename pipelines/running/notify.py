"""Tell somebody what became of a night, and what a person decided."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from dataclasses import asdict, dataclass
from typing import Literal
from urllib.error import URLError

from pipelines.contract.log import logger
from pipelines.settings.people import Notify

Kind = Literal[
    "failed",
    "stopped",
    "stale",
    "refused",
    "promoted",
    "waiting",
    "approved",
    "rejected",
    "rolled_back",
    "anchored",
    "fell_short",
]
_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Event:
    """What happened.

    Attributes:
        kind: what it was.
        night: ISO date; of a rollback and of an anchor the day.
        run_key: of the run; "" where it is about none.
        reason: in words.
    """

    kind: Kind
    night: str
    run_key: str
    reason: str


def notify(event: Event, settings: Notify) -> None:
    """Run the command and call the webhook that the settings name, with the event as JSON.

    A hook that fails is logged: it must not fail the night.
    """
    body = json.dumps(asdict(event)).encode()
    if settings.command:
        try:
            subprocess.run(settings.command, input=body, check=True, timeout=_TIMEOUT_SECONDS)
        except (OSError, subprocess.SubprocessError) as error:
            logger.error("notify.command failed for %s %s: %s", event.kind, event.night, error)
    if settings.webhook:
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked below
            settings.webhook, data=body, headers={"Content-Type": "application/json"}
        )
        try:
            if request.type not in {"http", "https"}:
                raise URLError(f"notify.webhook must be http or https, not {request.type}")
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS):  # noqa: S310
                pass
        except (OSError, URLError) as error:
            logger.error("notify.webhook failed for %s %s: %s", event.kind, event.night, error)
