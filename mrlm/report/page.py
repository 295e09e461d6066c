"""What the HTML pages share: how their templates are read, and what a browser may do with them."""

from __future__ import annotations

import base64
from functools import partial
from typing import TYPE_CHECKING, Any

from mrlm.messages.message import Name
from mrlm.messages.translation import Language, template_in, translated
from mrlm.report.visible import shortened, visible

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

# A page shows a longer text by its beginning; the evidence holds it whole.
_LONGEST = 2000
# Pages need nothing but themselves: no script, no address, no form, whatever a text may hold.
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'"
)
# By name, for a page brings none: what systems have for Chinese, from Apple's to Linux's.
_FONTS = {
    "en": "system-ui, sans-serif",
    "zh": "system-ui, PingFang SC, Microsoft YaHei, Noto Sans CJK SC, Noto Sans SC, "
    "Source Han Sans SC, WenQuanYi Micro Hei, sans-serif",
}


def templates(language: Language = "en") -> Environment:
    """The environment of the templates in this folder: every value is shown as text.

    A value that is a message is shown in the language; the words of a template are given to ``_``,
    with named fields. Its filter ``picture`` makes the address of an image out of its bytes, PNG or
    SVG, ``shortened`` cuts long names, and ``name`` tells a name that the program gave.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mrlm.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=partial(_shown, language=language),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["policy"] = _POLICY
    environment.globals["language"] = language
    environment.globals["fonts"] = _FONTS[language]
    environment.globals["_"] = partial(_said, language)
    environment.filters["picture"] = _picture
    environment.filters["shortened"] = partial(_shortened, language)
    environment.filters["name"] = Name
    return environment


def _said(language: Language, template: str, /, **fields: Any) -> Markup:
    """A template's own words, which may hold entities, with its fields as text."""
    from markupsafe import Markup

    shown = {name: _shown(value, language) for name, value in fields.items()}
    # The words are the project's own; the fields are escaped.
    return Markup(template_in(template, language)).format(**shown)  # noqa: S704


def _shortened(language: Language, text: object, most: int = 160) -> str:
    return shortened(translated(text, language) if isinstance(text, str) else text, most)


def _picture(image: bytes) -> Markup:
    from markupsafe import Markup

    kind = "png" if image.startswith(b"\x89PNG") else "svg+xml"
    # Base 64 has no character of markup, and is longer than any text that is shown.
    coded = base64.b64encode(image).decode()
    return Markup(f"data:image/{kind};base64,{coded}")  # noqa: S704


def _shown(value: Any, language: Language) -> Any:
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return visible(translated(value, language), _LONGEST)
