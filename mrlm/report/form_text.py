"""What the form shows on which a person decides."""

from __future__ import annotations

from mrlm.evidence.evidence import Evidence
from mrlm.messages.message import Message
from mrlm.messages.translation import Language, translated
from mrlm.promotion.judgement.verdict import Verdict
from mrlm.report.memo import headline
from mrlm.report.visible import markdown


def form_text(evidence: Evidence, verdict: Verdict, memo: str, language: Language) -> str:
    """Markdown: the memo; before it, in another language, the answer with its checks.

    Args:
        evidence: of the version.
        verdict: of the gate.
        memo: the record, in English.
        language: of the form.
    """
    if language == "en":
        return memo

    def told(text: str) -> str:
        return markdown(translated(text, language), 1000)

    checks = [f"- {'✅' if c.passed else '❌'} {told(c.text)}" for c in verdict.checks]
    record = told(Message("The memo is a record, in English:"))
    return "\n\n".join([f"## {told(headline(verdict, evidence))}", "\n".join(checks), record, memo])
