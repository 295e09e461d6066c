"""What the gate is at, as people read it: champion, test, anchor, and what is spent below it."""

from __future__ import annotations

from mrlm.promotion.record.anchor import anchor_version, spent_by_trials, spent_margins
from mrlm.promotion.record.candidate import candidate_under_test, maker_of, of_tests
from mrlm.promotion.record.decision import moved_after_all
from mrlm.promotion.record.ledger import Entry, LedgerError, champion_stack
from mrlm.promotion.record.shortfall import open_shortfall, rollback_command
from mrlm.promotion.registry.place import RegistryPlace
from mrlm.report.visible import visible
from pipelines.contract.context import NightContext
from pipelines.nights.gate_notes import narrow_of, trial_note

_LONGEST, _LONG_REASON = 200, 1000
_MOVED = {"promoted": "promoted", "rolled_back": "left by a rollback"}
_MADE_CHAMPION = {"initial": "made", "promoted": "promoted", "rolled_back": "gone back to"}


def champion_lines(place: RegistryPlace) -> list[str]:
    """One line on who is champion, since when and by whom; none before the first."""
    entries = place.ledger.entries()
    stack = champion_stack(entries)
    if not stack:
        return []
    made = [e for e in entries if e.kind in _MADE_CHAMPION][-1]
    by = f"{_MADE_CHAMPION[made.kind]} by {visible(made.actor, _LONGEST)}"
    return [
        f"champion: version {stack[-1]} since {made.at}, {by}: {visible(made.reason, _LONGEST)}"
    ]


def anchor_lines(place: RegistryPlace, anchored: str) -> list[str]:
    """One line on the anchor and one a guardrail; none before the first champion.

    Args:
        place: the registry.
        anchored: the setting ``gate.anchored``.
    """
    entries = place.ledger.entries()
    anchor = anchor_version(entries)
    if anchor is None:
        return []
    champion = champion_stack(entries)[-1]
    made = [e for e in entries if e.kind in ("anchored", "initial") and e.version == anchor][-1]
    since = f"since {made.at} by {visible(made.actor, _LONGEST)}"
    why = "the first champion" if made.kind == "initial" else visible(made.reason, _LONGEST)
    lines = [f"anchor: version {anchor} ({since}: {why}); gate.anchored = {anchored}"]
    by_trials = spent_by_trials(entries)
    trials = [
        f"{visible(name, _LONGEST)}: trials have used up {share:.1%} of the margin"
        for name, share in by_trials.items()
    ]
    if champion == anchor:
        return [*lines, "the champion is the anchor: no promotion has spent of a margin", *trials]
    spent = spent_margins(entries)
    if not spent:
        unknown = f"what champion version {champion} has spent below it is not known yet"
        return [*lines, unknown, *trials]
    return [
        *lines,
        *(
            f"{visible(name, _LONGEST)}: champion version {champion} has spent {share:.1%} of the "
            f"margin{_with_trials(share, by_trials.get(name, 0.0))}"
            for name, share in sorted(spent.items())
        ),
    ]


def _with_trials(share: float, by_trials: float) -> str:
    if not by_trials:
        return ""
    return f", and trials {by_trials:.1%}: {share + by_trials:.1%} in all"


def afterwards(entries: tuple[Entry, ...], run_key: str, verdict: str) -> list[str]:
    """What the ledger says became of a night's version after the night was closed, a line a move.

    Args:
        entries: of the ledger.
        run_key: of the night.
        verdict: with which the night was closed; a promotion that it tells itself is not repeated.
    """
    moves = moved_after_all(entries, run_key)
    told = moves[1:] if verdict == "promoted" else moves
    return [
        f"{_MOVED[e.kind]} by {visible(e.actor, _LONGEST)} at {e.at}: "
        f"{visible(e.reason, _LONG_REASON)}"
        for e in told
    ]


def watch_lines(place: RegistryPlace) -> list[str]:
    """One line on a champion that falls short of its promise; none where it keeps it."""
    short = open_shortfall(place.ledger.entries())
    if short is None or short.version is None:
        return []
    return [
        f"FALLS SHORT since {short.at}: {visible(short.reason, _LONG_REASON)}. To go back: "
        f"{rollback_command(short.version)}"
    ]


def advice_lines(context: NightContext) -> list[str]:
    """One line where the champion is too narrow to be followed, with what changes that and costs.

    Args:
        context: of any night of the workspace, under the settings as they are.
    """
    try:
        narrow = narrow_of(context)
    except LedgerError as error:
        return [f"gate: not told, for {error}"]
    return [] if narrow is None else [f"ADVICE: {visible(narrow.in_words, _LONG_REASON)}"]


def trial_lines(context: NightContext) -> list[str]:
    """One line on the challenger that chooses a share of what is shown; none where nobody does."""
    try:
        note = trial_note(context)
    except LedgerError:
        return []
    return [] if note is None else [visible(note, _LONG_REASON)]


def candidate_lines(place: RegistryPlace, test_nights: int) -> list[str]:
    """One line on the challenger under test; none where the next night brings another.

    Args:
        place: the registry.
        test_nights: the setting ``gate.test_nights``.
    """
    entries = place.ledger.entries()
    judged = of_tests(entries)
    if not judged:
        return []
    # As a coming run under the settings of the newest one will find it.
    coming = f"next-{judged[-1].run_key.rpartition('-')[2]}"
    last = candidate_under_test(entries, coming)
    if last is None:
        return []
    return [
        f"under test: the challenger of run {maker_of(last)}, last registered as version "
        f"{last.version}, {len(last.gate_nights)} of {test_nights} nights so far"
    ]
