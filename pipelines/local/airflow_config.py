"""Airflow's file of settings in the home folder of the local services."""

from __future__ import annotations

import configparser
import os
from base64 import urlsafe_b64encode
from pathlib import Path

from pipelines.failures.errors import DataError

_ABOUT = """\
# The rest comes from the environment that 'make run' and 'make ui' give Airflow, and from its
# defaults. Without this file Airflow would write one that names this folder by its absolute path,
# and a moved or copied workspace would use the database and the logs of the old place.
"""


def write_config(home: Path) -> None:
    """Write ``airflow.cfg`` with nothing but the key of stored connections, which stays.

    Raises:
        DataError: a file is there that cannot be read.
    """
    path = home / "airflow.cfg"
    found = configparser.RawConfigParser(strict=False)
    try:
        found.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: mend or remove it ({error})") from error
    key = found.get("core", "fernet_key", fallback="") or urlsafe_b64encode(os.urandom(32)).decode()
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(f"{_ABOUT}[core]\nfernet_key = {key}\n")
    temporary.replace(path)
