"""Errors that a person must act on."""

from __future__ import annotations


class InputError(ValueError):
    """Raw input cannot be ingested as it is; the message says where and what to do."""
