"""The command that serves the champion over HTTP."""

from __future__ import annotations

import os
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.commands.options import SettingsOption
from pipelines.contract.context import NightContext
from pipelines.contract.log import logger
from pipelines.contract.workspace import Workspace
from pipelines.failures.errors import DataError
from pipelines.running.open_night import night_at
from pipelines.settings.load import load_settings

if TYPE_CHECKING:
    from pipelines.serving.app import Service
    from pipelines.settings.input_tables import InputTable
    from pipelines.settings.model import Settings

_OWN_MACHINE = ("127.0.0.1", "::1", "localhost")


def add_commands(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("serve")(serve)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8000,
    settings: SettingsOption = None,
) -> None:
    """Answer requests by the champion, and log what is served, until Ctrl-C."""
    import uvicorn
    from threadpoolctl import threadpool_limits

    from pipelines.serving.app import make_app
    from pipelines.serving.encryption import encryption

    loaded = load_settings(settings)
    key = os.environ.get(loaded.serving.key_variable, "")
    if host not in _OWN_MACHINE and not key and loaded.serving.tls_callers is None:
        raise DataError(
            f"--host {host} lets other machines in: set the environment variable "
            f"{loaded.serving.key_variable} to a key that callers have to send, or "
            "serving.tls_callers to the authority of their certificates"
        )
    options = encryption(loaded.serving)
    service = _service(loaded, key)
    say_what_is_unread(loaded.inputs.impressions)
    service.current.start()
    try:
        # One answer at a time: a second thread costs more to wake than it computes.
        with threadpool_limits(1):
            uvicorn.run(make_app(service), host=host, port=port, access_log=False, **options)
    finally:
        service.current.stop()
        service.log.close()


def say_what_is_unread(impressions: InputTable) -> None:
    """Warn where the log of what is served is no night's impressions as the settings have them."""
    from pipelines.settings.served_path import unread_as_impressions

    found = unread_as_impressions(impressions)
    if found:
        logger.warning(
            "what is served is logged as JSON lines, a slot a line, which the settings do not read "
            "as a night's impressions: they have %s. Convert the log before you deliver it, or "
            "nights quarantine these rows",
            "; ".join(found),
        )


def _service(settings: Settings, key: str) -> Service:
    from mrlm.privacy.person import pseudonym_of
    from pipelines.serving.app import Service
    from pipelines.serving.current import Current
    from pipelines.serving.impression_log import ImpressionLog
    from pipelines.settings.served_path import served_path

    variable = settings.ingestion.user_key_variable
    user_key = os.environ.get(variable, "").encode()
    if not user_key:
        raise DataError(
            f"no key for user pseudonyms: set the environment variable {variable} to that of the "
            "nights, or nobody's state is found"
        )
    workspace = Workspace(settings.workspace)

    def context(at: datetime) -> NightContext:
        return NightContext(night_at(at, settings.ingestion), settings, workspace)

    serving = settings.serving
    log = ImpressionLog(
        served_path(settings, workspace.root),
        settings.inputs.impressions.columns,
        settings.ingestion,
        serving.flush,
    )
    current = Current(context, serving.reload_seconds)
    return Service(current, log, settings, partial(pseudonym_of, user_key), key)
