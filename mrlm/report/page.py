"""What the HTML pages share: how their templates are read, and what a browser may do with them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from mrlm.report.visible import visible

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


def templates() -> Environment:
    """The environment of the templates in this folder: every value is shown as text.

    Its filter ``picture`` makes the address of an image out of PNG bytes.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mrlm.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["policy"] = _POLICY
    environment.filters["picture"] = _picture
    return environment


def _picture(png: bytes) -> Markup:
    from markupsafe import Markup

    # Base 64 has no character of markup, and is longer than any text that is shown.
    return Markup("data:image/png;base64," + base64.b64encode(png).decode())  # noqa: S704


def _shown(value: Any) -> Any:
    return visible(value, _LONGEST) if type(value) is str else value
