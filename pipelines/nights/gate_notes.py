"""What the gate's state asks of people: the trial, and a champion too narrow to be followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrlm.promotion.record.on_trial import trial_of
from pipelines.contract.context import NightContext
from pipelines.nights.champion import looked_since
from pipelines.nights.judged import judged_evidence

if TYPE_CHECKING:
    from mrlm.messages.message import Message
    from mrlm.promotion.judgement.narrow_champion import NarrowChampion
    from mrlm.promotion.record.ledger import Entry


def narrow_of(context: NightContext) -> NarrowChampion | None:
    """The champion, where the newest judgements say that it chooses too narrowly; else None."""
    from mrlm.promotion.judgement.narrow_champion import narrow_champion

    entries = context.registry.ledger.entries()
    return narrow_champion(
        entries, lambda e: judged_evidence(context, e.run_key), context.settings.gate
    )


def trial_note(context: NightContext) -> Message | None:
    """Who is on trial now, since when and for how long; None: nobody is."""
    gate = context.settings.gate
    if not gate.trial_share:
        return None
    trial = trial_of(context.registry.ledger.entries(), looked_since(context))
    return None if trial is None else trial.in_words(gate.trial_share, gate.test_nights)


def notes_of(context: NightContext) -> list[Message]:
    """The notes for the page of a run; none where another was judged since, for they are of now."""
    judged: list[Entry] = [e for e in context.registry.ledger.entries() if e.kind == "judged"]
    if not judged or judged[-1].run_key != context.run_key:
        return []
    trial, narrow = trial_note(context), narrow_of(context)
    return [
        *([] if trial is None else [trial]),
        *([] if narrow is None else [narrow.in_words]),
    ]
