"""A judgement and the ledger: what earlier looks make of this one, and how it is written."""

from __future__ import annotations

from mrlm.evidence.evidence import Evidence
from mrlm.messages.message import Message
from mrlm.ope.nights.spending import error_at
from mrlm.promotion.judgement.anchored import gained_guardrails, spent_on_trial, spent_shares
from mrlm.promotion.judgement.gate import judge
from mrlm.promotion.judgement.levels import rise
from mrlm.promotion.judgement.look import Look
from mrlm.promotion.judgement.verdict import Verdict
from mrlm.promotion.record.anchor import anchor_version, spent_after, spent_margins
from mrlm.promotion.record.candidate import earlier_looks, nights_before, rejection, words_on
from mrlm.promotion.record.ledger import Entry, Ledger, judged_nights, judgement
from mrlm.promotion.settings import GateSettings


def judge_and_record(
    ledger: Ledger,
    evidence: Evidence,
    settings: GateSettings,
    *,
    version: int,
    actor: str,
    at: str,
) -> Verdict:
    """Judge a registered version once and write it into the ledger; hold the registry's lock.

    A run key that was judged before gets the verdict of that time: judged evidence is superseded
    by another night's, never judged anew.

    Raises:
        LedgerError: the ledger is not what commands wrote.
    """
    entries = ledger.confirmed()
    before = judgement(entries, evidence.run_key)
    if before is not None:
        return _as_recorded(before, entries, evidence, settings)
    verdict = verdict_after(entries, evidence, settings)
    ledger.append(
        Entry(
            kind="judged",
            run_key=evidence.run_key,
            version=version,
            actor=actor,
            at=at,
            reason=verdict.reason,
            verdict="promote" if verdict.promote else "refuse",
            evidence=evidence.fingerprint(),
            champion_version=evidence.champion_version,
            gate_nights=evidence.gate_nights,
            anchor=None if evidence.anchor is None else evidence.anchor.version,
            anchored=verdict.anchored,
            rows=evidence.rows,
            precision=_precision(evidence, settings),
            spent=_spent(entries, evidence, settings),
            trial=_on_trial(entries, evidence, settings),
            gained=_gained(evidence, settings),
            test=evidence.candidate,
            goes_on=verdict.goes_on,
            level=verdict.level,
        )
    )
    return verdict


def error_tested_at(entries: tuple[Entry, ...], run_key: str, settings: GateSettings) -> float:
    """One-sided error that the north star of a judged run key was tested at.

    Before tests went over several nights, every judgement spent a share of an endless sum.
    """
    judged = judgement(entries, run_key)
    if judged is not None and judged.level:
        return judged.level
    before = entries if judged is None else entries[: judged.sequence]
    looks = sum(e.kind == "judged" and e.run_key != run_key and bool(e.gate_nights) for e in before)
    return error_at(looks + 1, settings.false_promotions)


def verdict_after(
    entries: tuple[Entry, ...], evidence: Evidence, settings: GateSettings
) -> Verdict:
    """The verdict on an evidence when the ledger's entries are these."""
    test = evidence.candidate or evidence.run_key
    earlier = earlier_looks(entries, test, evidence.run_key)
    counts = [len(e.gate_nights) for e in earlier]
    own = frozenset(night for e in earlier for night in e.gate_nights)
    now = max(len(evidence.gate_nights), (counts or [0])[-1] + 1)
    return judge(
        evidence,
        settings,
        Look(
            (*counts, now),
            nights_before(entries, test),
            _information(earlier, evidence, settings),
        ),
        judged_nights(entries, evidence.run_key) - own,
        anchor_version(entries),
        rejection(entries, words_on(entries, test, evidence.run_key)),
    )


def _information(
    earlier: tuple[Entry, ...], evidence: Evidence, settings: GateSettings
) -> tuple[float, ...]:
    """What each look of the test rests on; see ``look_level``."""
    precise = (*(e.precision for e in earlier), _precision(evidence, settings))
    return precise if rise(precise) else (*(e.rows for e in earlier), evidence.rows)


def _precision(evidence: Evidence, settings: GateSettings) -> float:
    """One over the variance of the north star's difference; 0 where there can be no trial."""
    star = evidence.difference(settings.estimator, evidence.north_star)
    if not settings.trial_share or star is None or not star.standard_error:
        return 0.0
    return star.standard_error**-2


def _on_trial(
    entries: tuple[Entry, ...], evidence: Evidence, settings: GateSettings
) -> dict[str, float]:
    """What the trial of this test has used up of every anchored margin; nothing at a first look."""
    before = words_on(entries, evidence.candidate or evidence.run_key, evidence.run_key)
    if settings.anchored == "off" or not before:
        return {}
    nights = len(evidence.gate_nights) - len(before[0].gate_nights)
    return spent_on_trial(evidence, settings, nights)


def _spent(
    entries: tuple[Entry, ...], evidence: Evidence, settings: GateSettings
) -> dict[str, float]:
    """What promoting this challenger would leave spent of every anchored margin."""
    if settings.anchored == "off" or evidence.anchor is None:
        return {}
    gained = gained_guardrails(evidence, settings)
    return spent_after(spent_margins(entries), spent_shares(evidence), gained)


def _gained(evidence: Evidence, settings: GateSettings) -> tuple[str, ...]:
    if settings.anchored == "off":
        return ()
    return tuple(sorted(gained_guardrails(evidence, settings)))


def _as_recorded(
    entry: Entry, entries: tuple[Entry, ...], evidence: Evidence, settings: GateSettings
) -> Verdict:
    again = verdict_after(entries[: entry.sequence], evidence, settings)
    if entry.evidence == evidence.fingerprint() and again.reason == entry.reason:
        return again
    return Verdict(
        promote=entry.verdict == "promote",
        reason=Message(
            "{reason} (judged {at} on evidence {evidence}; the evidence or the rule has changed "
            "since, and a run key is judged once)",
            reason=entry.reason,
            at=entry.at,
            evidence=entry.evidence[:12],
        ),
        look=again.look,
        level=again.level,
    )
