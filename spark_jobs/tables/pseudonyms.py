"""User pseudonyms: a keyed hash, so that nobody without the key can try names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from functools import cache

from pyspark.sql import Column
from pyspark.sql import functions as F

from spark_jobs.contract.errors import InputError

_BLOCK = 64
LENGTH = 32
LEAST_KEY = 16
# Of scrypt (RFC 7914): 32 MiB and about a tenth of a second for every key that somebody tries.
_SCRYPT = {"n": 1 << 15, "r": 8, "p": 1, "maxmem": 1 << 26}


def user_key(variable: str, known: Collection[str] = ()) -> bytes:
    """The key in the environment variable ``variable``.

    Args:
        variable: its name.
        known: ids of the keys of the nights before. Their pseudonyms cannot be made anew, so a key
            of theirs is taken however short it is.

    Raises:
        InputError: the variable is unset or empty, or the key is new and shorter than
            ``LEAST_KEY`` bytes.
    """
    key = os.environ.get(variable, "").encode()
    if not key:
        raise InputError(
            f"no key for user pseudonyms: set the environment variable {variable} to a long random "
            "text, keep it secret, and keep it the same for all nights"
        )
    if len(key) < LEAST_KEY and not is_known(key, known):
        raise InputError(
            f"the key in {variable} has {len(key)} bytes, and whoever guesses it can name every "
            f"user: set one of at least {LEAST_KEY}, such as what 'openssl rand -hex 32' prints, "
            "keep it secret, and keep it the same for all nights"
        )
    return key


@cache
def key_id(key: bytes) -> str:
    """Sixteen hexadecimal characters that tell keys apart, and are slow to compute.

    They are the first of scrypt (RFC 7914) with n 2^15, r 8, p 1 and the salt ``mrlm-key-id``.
    """
    return hashlib.scrypt(key, salt=b"mrlm-key-id", dklen=8, **_SCRYPT).hex()


def earlier_key_id(key: bytes) -> str:
    """The id that manifests of earlier releases hold: eight characters of SHA-256."""
    return hashlib.sha256(b"mrlm-key-id" + key).hexdigest()[:8]


def is_known(key: bytes, known: Collection[str]) -> bool:
    """Whether one of these ids is the key's, of whichever release."""
    return bool(known) and (earlier_key_id(key) in known or key_id(key) in known)


def pseudonym(column: Column, key: bytes) -> Column:
    """First 32 hexadecimal characters of HMAC-SHA256 (RFC 2104) of the UTF-8 text."""
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    inner = F.lit(bytes(b ^ 0x36 for b in block))
    outer = F.lit(bytes(b ^ 0x5C for b in block))
    digest = F.unhex(F.sha2(F.concat(inner, F.encode(column, "UTF-8")), 256))
    return F.substring(F.sha2(F.concat(outer, digest), 256), 1, LENGTH)
