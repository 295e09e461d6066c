"""One person: how rows, texts and lists name them."""

from __future__ import annotations

import hashlib
import hmac
import html
import re
from dataclasses import dataclass
from functools import cached_property

# Shorter texts are also numbers and words that have nothing to do with anybody.
_DISTINCT = 6
LENGTH = 32
_SHOWN = 100
# As data docs write what begins markup.
_FULL_WIDTH = str.maketrans({c: chr(ord(c) + 0xFEE0) for c in "<>&\"'`$\\{}[]"})


def pseudonym_of(key: bytes, user_id: str) -> str:
    """First 32 hexadecimal characters of HMAC-SHA256 (RFC 2104) of the UTF-8 text."""
    return hmac.new(key, user_id.encode(), hashlib.sha256).hexdigest()[:LENGTH]


def salted(salt: str, text: str) -> str:
    """SHA-256 of salt and text, hexadecimal: tells whether a text is on a list, not which are."""
    return hashlib.sha256(f"{salt}{text}".encode()).hexdigest()


@dataclass(frozen=True)
class Person:
    """By what a person is found.

    Attributes:
        user_id: as the raw log writes it.
        pseudonym: as everything else writes it.
        salt: of the lists of hashes.
        requests: salted hashes of the ids of their requests.
        named: the ids of those requests that are still known.
        shown: texts of their rows that validation showed, and nobody else's.
    """

    user_id: str
    pseudonym: str
    salt: str
    requests: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()
    shown: frozenset[str] = frozenset()

    @property
    def hash(self) -> str:
        """Salted, of the pseudonym."""
        return salted(self.salt, self.pseudonym)

    def has_request(self, request_id: str | None) -> bool:
        """Whether a request is theirs."""
        return request_id is not None and salted(self.salt, request_id) in self.requests

    def stands_in(self, text: str) -> bool:
        """Whether a text holds the pseudonym."""
        return self.pseudonym in text

    def stands_in_line(self, text: str) -> bool:
        """The same of a line of a log: their own ids count too, where they are no common words."""
        return self._names.search(text) is not None

    def stands_in_unread(self, text: str) -> bool:
        """The same of a row that nobody can read: any id counts, one of several parts in parts."""
        whole = self.stands_in_line(text) or self._id.search(text) is not None
        return whole or (len(self._parts) > 1 and all(p.search(text) for p in self._parts))

    def stands_in_page(self, text: str) -> bool:
        """The same of a page: what it shows of their rows counts too."""
        return self._shown.search(text) is not None

    def left_out_of_page(self, text: str) -> str:
        """The page with ``forgotten`` in place of pseudonym and texts."""
        return self._shown.sub("forgotten", text)

    def left_out_of(self, text: str) -> str:
        """The text with ``forgotten`` in place of the pseudonym."""
        return text.replace(self.pseudonym, "forgotten")

    @cached_property
    def _id(self) -> re.Pattern[str]:
        return _tokens(_written(self.user_id))

    @cached_property
    def _parts(self) -> list[re.Pattern[str]]:
        """What the id is joined of, as the ingestion joins columns."""
        return [_tokens(_written(part)) for part in self.user_id.split("|") if part]

    @cached_property
    def _shown(self) -> re.Pattern[str]:
        texts = [t for t in self.shown if len(t) >= _DISTINCT]
        written = {w for t in texts for w in (t, html.escape(t), t.translate(_FULL_WIDTH))}
        # Pages show a long text by its beginning.
        cut = [rf"{re.escape(w[:_SHOWN])}[^<\n]*" for w in written if len(w) > _SHOWN]
        whole = _tokens([self.pseudonym, *(w for w in written if len(w) <= _SHOWN)])
        return re.compile("|".join([*sorted(cut), whole.pattern]), whole.flags)

    @cached_property
    def _names(self) -> re.Pattern[str]:
        distinct = [t for t in (self.user_id, *sorted(self.named)) if len(t) >= _DISTINCT]
        return _tokens([self.pseudonym, *(w for t in distinct for w in _written(t))])


def _written(text: str) -> list[str]:
    """A text as it stands in a file, and as JSON writes it in ASCII."""
    escaped = "".join(c if ord(c) < 128 else _escape(c) for c in text)
    return list(dict.fromkeys([text, escaped]))


def _escape(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def _tokens(texts: list[str]) -> re.Pattern[str]:
    """Any of the texts, where no letter, digit or underscore goes on with it."""
    longest = sorted(set(texts), key=lambda t: (-len(t), t))
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest))})(?!\w)", re.IGNORECASE)
