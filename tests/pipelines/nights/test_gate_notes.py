"""Who is on trial and what is advised, as status, summary, page and doctor tell it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mrlm.evidence.policy_estimate import PolicyEstimate
from pipelines.care.gate_standing import advice_lines, trial_lines
from pipelines.care.summary import summarise
from pipelines.commands import care
from pipelines.contract.context import NightContext
from pipelines.nights.gate_notes import notes_of
from tests.evidence.found import evidence_of, weight_figures
from tests.pipelines.nights.workspaces import Made, entry

NIGHTS = [f"2026-11-{d:02d}" for d in range(20, 24)]


@pytest.fixture
def refused(made: Made) -> Made:
    """Three nights whose log told too little of the challenger, which stays under test."""
    made.record(entry("initial", "first", 1))
    for night in NIGHTS[:3]:
        run_key = made.context(night).run_key
        found = evidence_of(
            run_key=run_key,
            gate_nights=(night,),
            differences={"dr": {"delight": PolicyEstimate(0.02, 0.5, 2.0)}},
            diagnostics={
                "logger": weight_figures(900.0),
                "challenger": weight_figures(12.0),
            },
        )
        made.evaluated(replace(found, night=night))
        made.record(
            entry(
                *("judged", run_key, int(night[-2:])),
                champion_version=1,
                gate_nights=(night,),
                goes_on=True,
                verdict="refuse",
                evidence=replace(found, night=night).fingerprint(),
            )
        )
    return made


def test_advice_is_on_top_and_gone_once_a_trial_is_allowed(refused: Made) -> None:
    context = refused.context(NIGHTS[2])
    (line,) = advice_lines(context)
    assert line.startswith("ADVICE: the last 3 judgements could not tell")
    assert trial_lines(context) == []
    assert summarise([context], context.workspace)["advice"] == [line]
    allowed = refused.context(NIGHTS[2], gate={"trial_share": 0.2})
    assert advice_lines(allowed) == []
    (trial,) = trial_lines(allowed)
    assert "version 22 by now, chooses 20% of what 'mrlm serve'" in trial
    assert summarise([allowed], context.workspace)["gate"] == [trial]


def test_only_the_page_of_the_newest_judgement_tells_of_now(refused: Made) -> None:
    assert notes_of(refused.context(NIGHTS[1])) == []
    (note,) = notes_of(refused.context(NIGHTS[2]))
    assert "'trial_share = 0.1' under [gate]" in note


def test_a_broken_ledger_is_told_once(
    refused: Made, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    context: NightContext = refused.context(NIGHTS[2])
    path = context.workspace.registry / "ledger.jsonl"
    path.write_text(path.read_text().replace('"refuse"', '"promote"'))
    (line,) = advice_lines(context)
    assert "the chain is broken" in line
    assert trial_lines(context) == []
    monkeypatch.setattr(care, "load_settings", lambda _: context.settings)
    care.status()
    assert capsys.readouterr().out.count("the chain is broken") == 1
