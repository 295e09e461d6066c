"""E-mail addresses and phone numbers in free text, replaced by what they are.

What reads as a date, a time, a price or a plain long number is left: a number is a phone's by its
international prefix, its leading zero, its form (555-123-4567) or, of eleven digits, by the
beginning of Chinese mobile numbers. The expressions mean the same to Java and to Python.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

# Letters and digits are spelt out: what \w and \d stand for differs between the two.
EMAIL = r"[A-Za-z0-9_.%+-]+@[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.[A-Za-z]{2,}"
PHONE = (
    r"(?<![A-Za-z0-9_.,:+-])(?:"
    r"(?:\+|00)[1-9](?:[ ().\-/]{0,2}[0-9]){6,13}"
    r"|\(?0[1-9][0-9]{0,4}\)?[ .\-/]?[0-9](?:[ .\-/]?[0-9]){4,9}"
    r"|\(?[2-9][0-9]{2}\)?[ .\-][0-9]{3}[ .\-][0-9]{4}"
    r"|1[3-9][0-9](?:[ -]?[0-9]{4}){2}"
    r")(?![A-Za-z0-9_:]|[.,][0-9])"
)


def scrubbed(text: Column) -> Column:
    """The text with ``[email]`` and ``[phone]`` in place of addresses and numbers."""
    without = F.regexp_replace(text, F.lit(EMAIL), F.lit("[email]"))
    return F.regexp_replace(without, F.lit(PHONE), F.lit("[phone]"))


def scrubbed_values(texts: Column) -> Column:
    """A map of texts, each of its values scrubbed."""
    return F.transform_values(texts, lambda _, text: scrubbed(text))


def differs(before: Column, after: Column) -> Column:
    """Whether anything was replaced; never null."""
    return ~before.eqNullSafe(after)
