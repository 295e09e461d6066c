"""Every sentence that the sources hold has its Chinese, and the catalogue holds no other."""

from __future__ import annotations

import dataclasses
import re
import string
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest

from mrlm.learners.baselines.registry import BASELINES
from mrlm.messages.chinese import NAMES, SENTENCES
from mrlm.meta.settings import StrategyName
from mrlm.ope.verdict.diagnostics import Diagnostics
from tests.messages.every_sentence import pages, sentences, words_of

SAID = sentences()
# The same in both languages.
_SAME = {"Gamma", "{items} {what}", "{kind} {group}"}


def test_every_sentence_has_its_chinese() -> None:
    assert {t: where for t, where in SAID.items() if t not in SENTENCES} == {}


def test_the_catalogue_holds_nothing_else() -> None:
    assert set(SENTENCES) - set(SAID) == set()


def fields(template: str) -> Counter[tuple[str, str]]:
    parts = string.Formatter().parse(template)
    return Counter((name, spec or "") for _, name, spec, _ in parts if name is not None)


@pytest.mark.parametrize("catalogue", [SENTENCES, NAMES], ids=["sentences", "names"])
def test_chinese_has_the_fields_of_its_english_and_is_chinese(catalogue: dict[str, str]) -> None:
    for english, chinese in catalogue.items():
        assert fields(english) == fields(chinese), english
        if english not in _SAME | {"auc"}:
            words = re.sub(r"\{[^}]*\}", "", chinese)
            assert re.search(r"[^\x00-\x7f]", words), english


def test_the_names_of_families_have_their_chinese() -> None:
    figures = [field.name for field in dataclasses.fields(Diagnostics)]
    for name in (*BASELINES, *get_args(StrategyName), *figures):
        assert name.replace("_", " ") in NAMES


class OwnWords(HTMLParser):
    """Texts of a template that are in no ``_``, and attributes that people read."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._style = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._style = tag == "style"
        read = [v for n, v in attrs if n in ("alt", "title", "aria-label")]
        self.found += [v for v in read if v and re.search("[a-z]", v, re.I)]

    def handle_data(self, data: str) -> None:
        if not self._style and re.search("[a-z]{2}", data, re.I):
            self.found.append(data.strip())


@pytest.mark.parametrize("page", pages(), ids=lambda p: p.name)
def test_a_template_has_no_words_outside_the_catalogue(page: Path) -> None:
    assert OwnWords("".join(words_of(page))).found == []


def test_words_outside_are_seen() -> None:
    assert OwnWords('<p title="a">b</p><p>own</p><style>x y</style>').found == ["a", "own"]
