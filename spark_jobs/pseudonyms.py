"""User pseudonyms: a keyed hash, so that nobody without the key can try names."""

from __future__ import annotations

import hashlib
import os

from pyspark.sql import Column
from pyspark.sql import functions as F

from spark_jobs.errors import InputError

_BLOCK = 64
LENGTH = 32


def user_key(variable: str) -> bytes:
    """The key in the environment variable ``variable``.

    Raises:
        InputError: the variable is unset or empty.
    """
    key = os.environ.get(variable, "")
    if not key:
        raise InputError(
            f"no key for user pseudonyms: set the environment variable {variable} to a long random "
            "text, keep it secret, and keep it the same for all nights"
        )
    return key.encode()


def key_id(key: bytes) -> str:
    """Eight hexadecimal characters that tell keys apart and reveal nothing of them."""
    return hashlib.sha256(b"mrlm-key-id" + key).hexdigest()[:8]


def pseudonym(column: Column, key: bytes) -> Column:
    """First 32 hexadecimal characters of HMAC-SHA256 (RFC 2104) of the UTF-8 text."""
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    inner = F.lit(bytes(b ^ 0x36 for b in block))
    outer = F.lit(bytes(b ^ 0x5C for b in block))
    digest = F.unhex(F.sha2(F.concat(inner, F.encode(column, "UTF-8")), 256))
    return F.substring(F.sha2(F.concat(outer, digest), 256), 1, LENGTH)
