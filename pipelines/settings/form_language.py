"""The words of Airflow's forms in the language of the settings.

Airflow parses its files often, and they may import nothing heavy: the one setting is read from the
file itself, without the model of all of them.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import get_args

from mrlm.messages.message import Message
from mrlm.messages.translation import Language, translated


def form_language() -> Language:
    """``report.language``; English where no settings can be read, which the commands will say."""
    own = os.environ.get("MRLM_REPORT__LANGUAGE", "")
    if not own:
        path = Path(os.environ.get("MRLM_SETTINGS", "mrlm.toml"))
        try:
            own = tomllib.loads(path.read_text(encoding="utf-8"))["report"]["language"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return "en"
    return next((known for known in get_args(Language) if known == own), "en")


def told(words: Message) -> str:
    """The words as a form shows them."""
    return str(translated(words, form_language()))


def in_every_language(words: Message) -> set[str]:
    """The words as a form may have shown them, whatever the setting was then."""
    return {str(translated(words, known)) for known in get_args(Language)}
