"""What can go wrong in a night, and the exit code that says so.

Exit codes: 0 done or unchanged; 2 the command was wrong; 10 the data or the settings are wrong,
and a retry cannot help; 75 something outside is busy or was interrupted, and a retry can. Never 99:
Airflow reads it as 'skip' and the night would turn green.
"""

from __future__ import annotations

EXIT_USAGE = 2
EXIT_DATA = 10
EXIT_RETRY = 75


class DataError(Exception):
    """The data or the settings are wrong: says what, where, and what to do. Not retried."""


class SettingsError(DataError, ValueError):
    """The settings are wrong: a sentence for each field, a line each."""


class MissingInputError(DataError):
    """A stage was run before the stage that it reads from."""


class NightStoppedError(DataError):
    """A critical expectation failed: the night stops here."""


class BusyError(Exception):
    """Another run holds what this one needs. Retried."""
