"""What can go wrong in a night, and the exit code that says so.

Exit codes:

- 0: done or unchanged.
- 2: the command was wrong.
- 10: the data, the settings or a file are wrong (damaged, unreadable, in a folder that cannot be
  written), and a retry cannot help.
- 70: the program is wrong, or met what nobody foresaw; the traceback is in a file that the message
  names. The same command would end the same, so it is not retried.
- 75: something outside is busy, full or gone, or the command was interrupted; a retry can help. A
  full disk is one of these: nothing is lost, and once there is space the same command goes on.

Never 1, which Python gives to a traceback, and never 99: Airflow reads it as 'skip' and the night
would turn green.
"""

from __future__ import annotations

EXIT_USAGE = 2
EXIT_DATA = 10
EXIT_PROGRAM = 70
EXIT_RETRY = 75


class DataError(Exception):
    """The data or the settings are wrong: says what, where, and what to do. Not retried."""


class SettingsError(DataError, ValueError):
    """The settings are wrong: a sentence for each field, a line each."""


class MissingInputError(DataError):
    """A stage was run before the stage that it reads from."""


class DamagedError(DataError):
    """A file is not as it was written: it was cut short, changed, or is missing; names it."""


class NightStoppedError(DataError):
    """A critical expectation failed: the night stops here."""


class BusyError(Exception):
    """Another run holds what this one needs. Retried."""


class UnavailableError(BusyError):
    """The machine or a service lacks what this one needs now, such as space. Retried."""
