"""A log that tells too little of challengers, because the champion that writes it is narrow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mrlm.evidence.evidence import Evidence
from mrlm.messages.message import Message
from mrlm.ope.verdict.certify import overlaps
from mrlm.ope.verdict.diagnostics import Diagnostics
from mrlm.promotion.judgement.needed import rows_of_a_test
from mrlm.promotion.record.ledger import Entry, champion_stack
from mrlm.promotion.settings import GateSettings

# Judgements in a row that are no accident any more.
_IN_A_ROW = 3
_SHARES = (0.1, 0.2, 0.5)
# The effective decisions of a trial, times those that an interval needs at the least: enough for
# an interval, with room for weights that differ.
_ROOM = 5


@dataclass(frozen=True)
class NarrowChampion:
    """What a champion costs that lets no challenger be judged, and what the way out would.

    Attributes:
        champion: its version.
        judgements: the last ones, which all failed for want of overlap.
        north_star: its name.
        share: of what is shown that a trial needs.
        collected: north star of a night's decisions under the champion; None: not known.
        estimated: what the trial would add to it a night by the newest estimate, which is not
            certified; None: not known, or more than a night can bring.
    """

    champion: int
    judgements: int
    north_star: str
    share: float
    collected: float | None
    estimated: float | None

    @property
    def in_words(self) -> Message:
        """What happens, the line of settings that changes it, and what that costs a night."""
        return Message(
            "the last {judgements} judgements could not tell whether the challenger is better: "
            "champion version {champion} chooses too narrowly for its log to tell of others, and "
            "as things are nobody will follow it. The line 'trial_share = {share:g}' under [gate] "
            "lets the challenger under test choose {share:.0%} of what 'mrlm serve' and the "
            "published lists show; {cost}. It is yours to set, for users then see a policy that is "
            "not proven yet",
            judgements=self.judgements,
            champion=self.champion,
            share=self.share,
            cost=self._cost,
        )

    @property
    def _cost(self) -> Message:
        if self.collected is None or self.collected <= 0:
            return Message("what that costs a night cannot be told from this log")
        most = Message(
            "that costs at most {most:.4g} of a night's {all:.4g} {north_star}, if what it shows "
            "brought nothing",
            most=self.share * self.collected,
            all=self.collected,
            north_star=self.north_star,
        )
        if self.estimated is None:
            return most
        return Message(
            "{most}, and by the newest estimate, which is not certified, changes it by "
            "{change:+.4g}",
            most=most,
            change=self.estimated,
        )


def lacks_overlap(evidence: Evidence, settings: GateSettings) -> bool:
    """Whether the north star's difference is uncertified for want of overlap with the log.

    That is where the log would do for the value of what was shown, and one policy's weights make
    too little of it.
    """
    star = evidence.difference(settings.estimator, evidence.north_star)
    if star is None or star.certified:
        return False
    if not _does(evidence.diagnostics.get("logger", {}), settings):
        return False
    pair = [evidence.diagnostics.get(p, {}) for p in ("challenger", "champion")]
    return not all(_does(figures, settings) for figures in pair)


def narrow_champion(
    entries: tuple[Entry, ...],
    evidence_of: Callable[[Entry], Evidence | None],
    settings: GateSettings,
) -> NarrowChampion | None:
    """The champion, where judgement after judgement fails for want of overlap; None: it does not.

    Args:
        entries: of the ledger.
        evidence_of: evidence of a judgement; None: it is gone.
        settings: of the gate; where a trial is allowed there is nothing to advise.
    """
    champion = (champion_stack(entries) or (None,))[-1]
    judged = [e for e in entries if e.kind == "judged" and e.gate_nights]
    last = judged[-_IN_A_ROW:]
    if champion is None or settings.trial_share or len(last) < _IN_A_ROW:
        return None
    if any(e.champion_version != champion or e.verdict == "promote" for e in last):
        return None
    newest = _newest_of_refused(last, evidence_of, settings)
    return None if newest is None else _told(champion, newest, settings)


def _newest_of_refused(
    judged: Sequence[Entry], evidence_of: Callable[[Entry], Evidence | None], settings: GateSettings
) -> Evidence | None:
    """The newest evidence, where all lack overlap and the rest of a test would not mend it."""
    found = [evidence_of(entry) for entry in judged]
    if any(evidence is None or not lacks_overlap(evidence, settings) for evidence in found):
        return None
    newest = found[-1]
    star = None if newest is None else newest.difference(settings.estimator, newest.north_star)
    if newest is None or star is None:
        return None
    most = rows_of_a_test(newest.rows, len(newest.gate_nights), settings.test_nights)
    return newest if star.rows_needed is None or star.rows_needed > most else None


def _told(champion: int, evidence: Evidence, settings: GateSettings) -> NarrowChampion:
    star, rows = evidence.north_star, evidence.rows / len(evidence.gate_nights)
    wanted = _ROOM * settings.min_effective_sample_size / (rows * settings.test_nights)
    share = next((s for s in _SHARES if s >= wanted), _SHARES[-1])
    own = evidence.estimate("champion", settings.estimator, star)
    gain = evidence.difference(settings.estimator, star)
    collected = None if own is None or own.value is None else own.value * rows
    change = None if gain is None or gain.value is None else gain.value * rows * share
    if collected is None or change is None or abs(change) > share * collected:
        # Heavy weights make numbers that no night can bring.
        change = None
    return NarrowChampion(
        champion=champion,
        judgements=_IN_A_ROW,
        north_star=star,
        share=share,
        collected=collected,
        estimated=change,
    )


def _does(figures: Mapping[str, Any], settings: GateSettings) -> bool:
    """Whether a policy's weights would do for an interval; what is not known is taken to do."""
    found = Diagnostics.from_json(figures)
    return found is None or overlaps(found, settings.thresholds())
