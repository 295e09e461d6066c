"""Texts that would be markup, options or commands elsewhere, and the elements of a page."""

from __future__ import annotations

import re
from html.parser import HTMLParser

LONG = 2**20
HOSTILE = (
    "<script>alert(1)</script>",
    "</td></table></script><script src=//example.com/x.js></script>",
    "<img src=x onerror=alert(1)>",
    '"><svg/onload=alert(1)>',
    "' onmouseover='alert(1)",
    "$value $v__0 ${column} $styling $$ {{ 7 * 7 }} {% include 'page.j2' %}",
    "[x](javascript:alert(1)) ![y](javascript:alert(2)) <javascript:alert(3)>",
    "[/] [bold] [link=javascript:alert(1)]x[/link]",
    "--settings=/etc/passwd",
    "../../../etc/passwd",
    "it's'; drop table rows; --\\",
    "=HYPERLINK(1)",
    "\u202egnp.\u2066exe\u200e",
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    "\x1b]0;title\x07\x1b[31mred\x1b[2J",
    "`id` | # * _ ~ \u2028 \u0085 end",
)


class Elements(HTMLParser):
    """The elements of a page, their attributes, and what a browser would run."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.runs: list[str] = []
        self.text = ""
        self._script = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(sorted(name for name, _ in attrs))))
        self._script = tag == "script"
        for name, value in attrs:
            address = name in {"src", "href", "action", "data", "srcdoc"}
            if name.startswith("on") or (address and (tag == "script" or ":" in (value or ""))):
                self.runs.append(f"{tag} {name} {_same(value or '')}")

    def handle_endtag(self, tag: str) -> None:
        self._script = False

    def handle_data(self, data: str) -> None:
        if self._script:
            self.runs.append(_same(data))
        self.text += data


def _same(text: str) -> str:
    """Without what is another in every page: pictures, identifiers and times."""
    if text.startswith("data:image/png;base64,"):
        return "a picture"
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d{8}T[\d.]+Z|\d{4}-\d\d-\d\d[T ][\d:.+]+", "@", text)
