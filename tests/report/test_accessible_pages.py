"""What a reader without a mouse or without eyes needs of a page; the rules are axe-core's."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from mrlm.evidence.evidence import Evidence
from mrlm.report.review_page import render_review_page
from tests.report.test_review_page import ANCHORED, FACTS, FULL

TEMPLATES = sorted(Path("mrlm/report").glob("*_page.html.j2"))


class Faults(HTMLParser):
    """Names of the rules that a page breaks, and where."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._mains = 0
        self._header: str | None = None
        self.feed(page)
        if self._mains != 1:
            self.found.append(f"landmark-one-main: {self._mains}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = dict(attrs)
        where = f"line {self.getpos()[0]}"
        self._mains += tag == "main"
        if tag == "html" and not own.get("lang"):
            self.found.append(f"html-has-lang: {where}")
        if tag == "img" and not own.get("alt"):
            self.found.append(f"image-alt: {where}")
        if tag == "svg" and not (own.get("role") == "img" and own.get("aria-label")):
            self.found.append(f"svg-img-alt: {where}")
        if own.get("class") == "scroll" and own.get("tabindex") != "0":
            self.found.append(f"scrollable-region-focusable: {where}")
        if tag == "th":
            self._header = ""

    def handle_data(self, data: str) -> None:
        if self._header is not None:
            self._header += data.strip()

    def handle_endtag(self, tag: str) -> None:
        if tag == "th":
            if not self._header:
                self.found.append(f"empty-table-header: line {self.getpos()[0]}")
            self._header = None


@pytest.mark.parametrize("evidence", [FULL, ANCHORED], ids=["full", "anchored"])
def test_the_review_page_is_accessible(evidence: Evidence) -> None:
    assert Faults(render_review_page(evidence, facts=FACTS)).found == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda p: p.name)
def test_every_page_is_accessible(template: Path) -> None:
    assert Faults(template.read_text()).found == []


def test_faults_are_seen() -> None:
    page = '<html><body><img><svg></svg><div class="scroll"><table><tr><th></th></tr></table>'
    assert [f.split(":")[0] for f in Faults(page).found] == [
        "html-has-lang",
        "image-alt",
        "svg-img-alt",
        "scrollable-region-focusable",
        "empty-table-header",
        "landmark-one-main",
    ]
