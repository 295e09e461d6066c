"""The words of Airflow's forms, in the language of the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from mrlm.messages.chinese_dags import DAGS
from mrlm.messages.message import Message
from mrlm.promotion.judgement.gate import judge
from mrlm.promotion.settings import GateSettings
from mrlm.report.form_text import form_text
from pipelines.settings.form_language import form_language, in_every_language, told
from tests.report.test_review_page import FULL

WHY = Message("Why")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ('[report]\nlanguage = "zh"', "zh"),
        ('[report]\nlanguage = "en"', "en"),
        ('[report]\nlanguage = "fr"', "en"),
        ("report = 1", "en"),
        ("[report", "en"),
        ("", "en"),
        (None, "en"),
    ],
)
def test_forms_speak_the_language_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, language: str
) -> None:
    path = tmp_path / "mrlm.toml"
    if text is not None:
        path.write_text(text)
    monkeypatch.delenv("MRLM_REPORT__LANGUAGE", raising=False)
    monkeypatch.setenv("MRLM_SETTINGS", str(path))
    assert form_language() == language
    assert told(WHY) == {"zh": "理由", "en": "Why"}[language]
    monkeypatch.setenv("MRLM_REPORT__LANGUAGE", "zh")
    assert told(WHY) == "理由"


def test_every_dag_is_described_in_the_language_of_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dags = [path.read_text() for path in Path("dags").glob("*.py") if "@dag(" in path.read_text()]
    assert all("doc_md=told(ABOUT)" in source for source in dags)
    monkeypatch.setenv("MRLM_REPORT__LANGUAGE", "zh")
    assert [told(Message(english)) for english in DAGS] == list(DAGS.values())
    assert len(dags) == len(DAGS)


def test_an_answer_counts_whatever_the_language_was_when_it_was_asked_for() -> None:
    assert in_every_language(Message("Approve")) == {"Approve", "批准"}


def test_a_form_in_chinese_gives_the_answer_before_the_record() -> None:
    verdict = judge(FULL, GateSettings())
    assert form_text(FULL, verdict, "## Night", "en") == "## Night"
    shown = form_text(FULL, verdict, "## Night", "zh")
    assert shown.startswith("## 晋升规则允许晋升")
    assert "- ✅ " in shown
    assert shown.endswith("备忘录是英文记录：\n\n## Night")
