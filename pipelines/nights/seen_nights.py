"""Nights that what comes to the gate tonight has learned from, by whatever way."""

from __future__ import annotations

from mrlm.promotion.record.candidate import maker_of
from mrlm.promotion.record.ledger import Entry
from pipelines.contract.context import NightContext
from pipelines.nights.judged import judged_evidence


def seen_nights(
    context: NightContext,
    entries: tuple[Entry, ...],
    champion: int,
    last: Entry | None,
    weights_from: str,
) -> frozenset[str]:
    """Nights that no judgement of tonight may rest on, beside those that were judged.

    A challenger whose trial began without a look, and one that waited while another was under test,
    have learned from nights that may never be judged: those are not fresh for who comes after them.

    Args:
        context: of tonight.
        entries: of the ledger.
        champion: its version, which a person may have approved before any night judged it.
        last: the newest word on the challenger under test; None: tonight's own is judged.
        weights_from: run that tonight's own goes on from, see ``Plan``.
    """
    promoted = [e for e in entries if e.kind == "judged" and e.version == champion]
    made = [_made_on(context, e) for e in (*promoted[-1:], *([] if last is None else [last]))]
    own = _learned_from(context, weights_from) if last is None else ()
    return frozenset(own).union(*made)


def _made_on(context: NightContext, judged: Entry) -> tuple[str, ...]:
    """Nights that the version of a judgement was made of."""
    first = judged_evidence(context, maker_of(judged))
    return () if first is None else (*first.fit_nights, *first.tune_nights)


def _learned_from(context: NightContext, run_key: str) -> tuple[str, ...]:
    """Nights that a run's own learners have seen, whoever it judged.

    Weights go on from it, and what strategies and alternatives remember.
    """
    learned = context.run("learn_behaviour", run_key).manifest() if run_key else None
    counts = {} if learned is None else learned.counts
    return (*counts.get("fit", ()), *counts.get("tune", ()))
