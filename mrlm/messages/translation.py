"""Messages and names in the language of a page."""

from __future__ import annotations

from typing import Literal

from mrlm.messages.chinese import NAMES, SENTENCES
from mrlm.messages.message import Joined, Message, Name

Language = Literal["en", "zh"]


def translated(text: str, language: Language) -> str:
    """The text in the language.

    A text that is no message is shown as it is: a name, code, or what an earlier night recorded.
    A message without a translation stays English, for a page with one English sentence is better
    than none; the tests find it.
    """
    if language == "en" or not isinstance(text, Message):
        return text
    if isinstance(text, Name):
        return NAMES.get(text.template, text.template)
    template = template_in(text.template, language)
    if isinstance(text, Joined):
        return template.join(translated(t, language) for t in text.fields["texts"])
    return template.format(
        **{
            name: translated(field, language) if isinstance(field, str) else field
            for name, field in text.fields.items()
        }
    )


def template_in(template: str, language: Language) -> str:
    """A template in the language, with the same fields."""
    return template if language == "en" else SENTENCES.get(template, template)
