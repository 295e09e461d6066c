"""The command line: one program, whose commands Airflow's tasks and people share.

Exit codes are those of pipelines/errors.py.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

import typer
from pydantic import ValidationError

from mrlm.promotion.alias_state import AliasMovedError
from pipelines import log
from pipelines.commands import care, local, nights, ope, registry, upgrade
from pipelines.errors import EXIT_DATA, EXIT_RETRY, EXIT_USAGE, BusyError, DataError

_INTERRUPTED = 130

app = typer.Typer(
    help="Nightly, proven retraining of recommender policies.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for module in (nights, registry, upgrade, care, local, ope):
    module.add_commands(app)


def main() -> None:
    """Run a command and turn what went wrong into an exit code and a sentence."""
    log.configure()
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, _interrupted)
    try:
        # Typer hands back the code of an exit, and makes one of an interrupt.
        code = app(standalone_mode=False)
        if code == _INTERRUPTED:
            raise KeyboardInterrupt
        sys.exit(code)
    except (typer.Abort, KeyboardInterrupt):
        log.logger.error("interrupted; the same command goes on from here")
        sys.exit(EXIT_RETRY)
    except (BusyError, TimeoutError, ChildProcessError) as error:
        log.logger.error("%s", error)
        sys.exit(EXIT_RETRY)
    except (DataError, FileNotFoundError, ValidationError, ValueError, AliasMovedError) as error:
        log.logger.error("%s", error)
        sys.exit(EXIT_DATA)
    except typer.TyperException as error:
        log.logger.error("%s", error.format_message())
        sys.exit(EXIT_USAGE)


def _interrupted(signum: int, frame: FrameType | None) -> None:
    del signum, frame
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
