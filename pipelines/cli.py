"""The command line: one program, whose commands Airflow's tasks and people share.

Exit codes are those of pipelines/failures/errors.py.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from types import FrameType

import typer

from mrlm.promotion.registry.alias_state import AliasMovedError
from pipelines.commands import (
    anchors,
    care,
    drills,
    exports,
    forget,
    local,
    logs,
    nights,
    objective_weights,
    ope,
    promotions,
    server,
    upgrade,
)
from pipelines.commands.crash import crash_report
from pipelines.contract import log
from pipelines.contract.deployment import place_of
from pipelines.contract.workspace import Workspace
from pipelines.failures.errors import (
    EXIT_DATA,
    EXIT_PROGRAM,
    EXIT_RETRY,
    EXIT_USAGE,
    BusyError,
    DataError,
    UnavailableError,
)
from pipelines.failures.faults import explained
from pipelines.settings.load import last_loaded

_INTERRUPTED = 130

app = typer.Typer(
    help="Nightly, proven retraining of recommender policies.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for module in (
    *(nights, promotions, anchors, drills, exports, server, upgrade, care),
    *(objective_weights, forget, local, logs, ope),
):
    module.add_commands(app)


def main() -> None:
    """Run a command and turn what went wrong into an exit code and a sentence."""
    log.configure()
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, _interrupted)
    try:
        # Typer hands back the code of an exit, and makes one of an interrupt.
        code = app(prog_name="mrlm", standalone_mode=False)
        if code == _INTERRUPTED:
            raise KeyboardInterrupt
        sys.stdout.flush()
        sys.exit(code)
    except (typer.Abort, KeyboardInterrupt):
        log.logger.error("interrupted; the same command goes on from here")
        sys.exit(EXIT_RETRY)
    except (BusyError, TimeoutError, ChildProcessError) as error:
        log.logger.error("%s", error)
        sys.exit(EXIT_RETRY)
    except typer.TyperException as error:
        log.logger.error("%s", error.format_message())
        sys.exit(EXIT_USAGE)
    except Exception as error:
        sys.exit(_failed(error))
    finally:
        _give_up_output()


def _failed(error: Exception) -> int:
    """Say what went wrong, and give the exit code."""
    settings = last_loaded()
    registry = place_of(settings, Workspace(settings.workspace)) if settings else None
    fault = explained(error, registry) or error
    if isinstance(fault, UnavailableError):
        log.logger.error("%s", fault)
        return EXIT_RETRY
    if isinstance(fault, (DataError, ValueError, AliasMovedError)):
        log.logger.error("%s", fault)
        return EXIT_DATA
    log.logger.error("%s", crash_report(error, sys.argv[1:]))
    return EXIT_PROGRAM


def _give_up_output() -> None:
    """Python would fail at its end on output that cannot be written, with a code of its own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _interrupted(signum: int, frame: FrameType | None) -> None:
    del signum, frame
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
