"""Who may log in to the pages on this machine: the person who serves them."""

from __future__ import annotations

import getpass
import json
import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path

_PASSWORD_BYTES = 24
# What Airflow's list of users and HTTP Basic use as separators, and what has no place in a name.
_NOT_IN_NAMES = re.compile(r"[:,\s\x00-\x1f\x7f]+")


@dataclass(frozen=True)
class PageLogin:
    """A user and a password.

    Attributes:
        user: what the ledger records as the person who decided.
        password: made for one run of the services.
    """

    user: str
    password: str = field(repr=False)

    @classmethod
    def new(cls) -> PageLogin:
        """This account's name (LOGNAME and USER win over it) with a random password."""
        try:
            name = getpass.getuser()
        except (KeyError, OSError):
            # An account without a name, as containers have.
            name = f"user-{os.getuid()}"
        return cls(_NOT_IN_NAMES.sub("-", name), secrets.token_urlsafe(_PASSWORD_BYTES))

    @classmethod
    def read(cls, path: Path) -> PageLogin:
        """What ``write`` wrote."""
        ((user, password),) = json.loads(path.read_text()).items()
        return cls(user, password)

    def write(self, path: Path) -> None:
        """Write it as Airflow's simple auth manager reads it: JSON, for this account alone."""
        # An old file would keep its own mode.
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            json.dump({self.user: self.password}, stream)
