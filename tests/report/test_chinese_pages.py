"""Review pages in Chinese: no English sentence but what was recorded, and English as it was."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mrlm.evidence.evidence import Evidence
from mrlm.evidence.groups import GroupDifference
from mrlm.messages.message import Message
from mrlm.messages.translation import translated
from mrlm.ope.verdict.certify import certify
from mrlm.privacy.small_groups import OTHER
from mrlm.promotion.judgement.gate import judge
from mrlm.promotion.judgement.narrow_champion import NarrowChampion
from mrlm.promotion.judgement.verdict import Verdict
from mrlm.promotion.record.on_trial import OnTrial
from mrlm.promotion.settings import GateSettings
from mrlm.report.facts import NightFacts
from mrlm.report.figures_as_text import scenes_as_text
from mrlm.report.memo import decision_memo
from mrlm.report.plots import all_plots
from mrlm.report.review_page import render_review_page, write_review
from tests.report.test_accessible_pages import Faults
from tests.report.test_for_whom import JUDGED
from tests.report.test_review_page import (
    ANCHORED,
    BARE,
    BEYOND,
    ESTIMATED,
    FACTS,
    FULL,
    NOT_BEATEN,
    NOT_CERTIFIED,
)

# What the fixtures typed as if an earlier night had recorded it.
RECORDED = (
    *FULL.warnings,
    *NOT_CERTIFIED.reasons,
    *(FACTS.limited_by or ()),
    *("it falls short <roll back>", "its evidence is gone", "Alien <script>", "film <3>"),
)
GUESSED = replace(
    FULL,
    propensities="estimated",
    support={"estimated_propensities": ESTIMATED, "loggers": {"a": 600, "": 300}},
)
EVIDENCE = {
    "bare": BARE,
    "full": FULL,
    "anchored": ANCHORED,
    "beyond": BEYOND,
    "groups": JUDGED,
    "guessed": GUESSED,
    "baselines": NOT_BEATEN,
    "stays": replace(BARE, stays=Message("no night")),
    "trial begins": replace(FULL, gate_nights=(), differences={}, trial_begins=Message("no night")),
    "no gate night": replace(FULL, gate_nights=(), differences={}),
}


class Words(HTMLParser):
    """What a page tells, without code."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.language = ""
        self.found: list[str] = []
        self._within: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = {name: value or "" for name, value in attrs}
        self.language = own.get("lang", self.language)
        self.found += [own[name] for name in ("alt", "aria-label") if name in own]
        if tag in ("code", "style"):
            self._within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._within and self._within[-1] == tag:
            self._within.pop()

    def handle_data(self, data: str) -> None:
        if not self._within:
            self.found.append(data)


def english(texts: list[str]) -> list[str]:
    """Texts with two English words in a row, but for what was recorded and commands."""
    told = []
    for text in texts:
        for known in RECORDED:
            text = text.replace(known, "")
        text = re.sub("'mrlm [^’。，]*'", "", text)
        if re.search(r"[a-z]{2,} [a-z]{2,}", text, re.I):
            told.append(text)
    return told


@pytest.mark.parametrize("evidence", EVIDENCE.values(), ids=EVIDENCE)
def test_a_chinese_page_holds_no_english_sentence(evidence: Evidence) -> None:
    facts = NightFacts() if evidence is BARE else FACTS
    page = render_review_page(evidence, judge(evidence, GateSettings()), facts, language="zh")
    words = Words(page)
    assert words.language == "zh"
    assert english(words.found) == []
    assert Faults(page).found == []


def test_a_trial_and_a_champion_too_narrow_are_told_on_the_page() -> None:
    trial = OnTrial(7, "2026-11-22-abc", "2026-11-20-abc", "2026-11-20T02:00", 2)
    narrow = NarrowChampion(1, 3, "delight", 0.1, 270.0, 1.8)
    for found in (narrow, replace(narrow, estimated=None), replace(narrow, collected=None)):
        facts = replace(FACTS, notes=[found.in_words, trial.in_words(0.25, 14)])
        page = render_review_page(FULL, judge(FULL, GateSettings()), facts, language="zh")
        assert english(Words(page).found) == []
        assert "最多还有 12 夜" in page
        assert "trial_share = 0.1" in page
    assert "version 7 by now, chooses 25% of" in render_review_page(FULL, facts=facts)
    assert "chooses too narrowly" in decision_memo(FULL, facts=facts)


def test_english_sentences_are_seen() -> None:
    assert english(Words(render_review_page(FULL)).found)


@pytest.mark.parametrize("evidence", EVIDENCE.values(), ids=EVIDENCE)
def test_evidence_keeps_what_its_sentences_were_made_of(evidence: Evidence) -> None:
    told = replace(evidence, warnings=(Message("its promise"),))
    stored = json.loads(json.dumps(told.to_json()))
    again = Evidence.from_json(stored)
    assert again == told
    # It is a record for pages alone.
    plain = replace(told, warnings=("its promise",))
    assert told.fingerprint() == again.fingerprint() == plain.fingerprint()
    assert [translated(w, "zh") for w in again.warnings] == ["它的承诺"]
    assert [translated(w, "zh") for w in plain.warnings] == ["its promise"]


def test_groups_and_users_with_weights_of_their_own_are_told_in_words() -> None:
    told = {
        ("history", "0 items"): ("users with 0 items before", "此前有 0 个物品的用户"),
        ("history", OTHER): ("users with another history", "历史属于其余情形的用户"),
        ("position", OTHER): ("the other positions", "其余位置"),
        ("position", "2"): ("position 2", "位置 2"),
        ("scene", OTHER): ("scene other", "场景 other"),
    }
    for (kind, label), (english, chinese) in told.items():
        words = GroupDifference(kind, label, 1, 1, {}).in_words
        assert (words, translated(words, "zh")) == (english, chinese)
    own = scenes_as_text(["home", "0 items"])
    assert own.startswith("With weights of their own: home, users with 0 items before;")
    assert "home、此前有 0 个物品的用户" in translated(own, "zh")


def test_labels_of_chinese_plots_are_text() -> None:
    plots = all_plots(BEYOND, FACTS.truth, FACTS.calibration, "dr", "zh")
    assert plots.keys() == all_plots(BEYOND, FACTS.truth, FACTS.calibration, "dr").keys()
    drawn = {name: image.decode() for name, image in plots.items()}
    assert "观测" in drawn["calibration"]
    for image in drawn.values():
        labels = re.findall(r"<text[^>]*>([^<]*)</text>", image)
        assert labels
        assert english(labels) == []
        assert "PingFang SC" in image


def test_the_memo_is_a_record_in_english(tmp_path: Path) -> None:
    verdict = judge(FULL, GateSettings())
    memo = write_review(tmp_path / "zh", FULL, verdict, FACTS, language="zh")
    assert memo == write_review(tmp_path / "en", FULL, verdict, FACTS)
    names = {p.name for p in (tmp_path / "zh").iterdir()}
    assert "calibration.svg" in names
    assert "晋升规则允许晋升" in (tmp_path / "zh" / "index.html").read_text(encoding="utf-8")


def test_a_verdict_of_before_is_shown_as_it_was_recorded() -> None:
    recorded = Verdict(False, "the numbers were too few")
    assert "the numbers were too few" in render_review_page(FULL, recorded, language="zh")


def test_reasons_of_a_refused_interval_are_told_in_chinese() -> None:
    reasons = certify("snips", False, [], GateSettings().thresholds()).reasons
    refused = replace(NOT_CERTIFIED, reasons=reasons)
    found = replace(FULL, differences={"dr": {"delight": refused}})
    page = render_review_page(found, judge(found, GateSettings()), language="zh")
    assert "它的偏差没有界" in page
    assert "delight 的差不可信" in page
