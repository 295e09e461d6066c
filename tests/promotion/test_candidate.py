"""Who is under test, by the ledger's entries alone."""

from __future__ import annotations

from dataclasses import replace

from mrlm.promotion.record.candidate import (
    candidate_under_test,
    earlier_looks,
    maker_of,
    nights_before,
    rejection,
    version_on_trial,
    words_on,
)
from mrlm.promotion.record.ledger import Entry, Kind
from mrlm.promotion.record.on_trial import trial_of

FIRST, TONIGHT = "2026-11-20-abc", "2026-11-22-abc"


def _entry(kind: Kind, version: int, run_key: str = "", **more: object) -> Entry:
    return Entry(kind, run_key, version, "ada", "now", "because", **more)  # type: ignore[arg-type]


def _entries(*entries: Entry) -> tuple[Entry, ...]:
    return tuple(replace(e, sequence=n) for n, e in enumerate(entries))


def _look(run_key: str, night: str, **more: object) -> Entry:
    told = {"goes_on": True, "champion_version": 1, "gate_nights": (night,), **more}
    return _entry("judged", 2, run_key, **told)


INITIAL = _entry("initial", 1, "first")


def test_a_rejection_is_the_last_word_on_a_look() -> None:
    look = _look(FIRST, "2026-11-19")
    no, yes = _entry("rejected", 2, FIRST), _entry("approved", 2, FIRST)
    for words, said in (((), False), ((no,), True), ((no, yes), False), ((yes, no), True)):
        assert (rejection(_entries(INITIAL, look, *words), (look,)) is not None) == said


def test_the_newest_test_goes_on() -> None:
    look = _look(FIRST, "2026-11-19")
    entries = _entries(INITIAL, look)
    found = candidate_under_test(entries, TONIGHT)
    assert found is not None
    assert maker_of(found) == FIRST
    again = _look("2026-11-21-abc", "2026-11-20", test=FIRST)
    later = candidate_under_test(_entries(INITIAL, look, again), TONIGHT)
    assert later is not None
    assert (later.run_key, maker_of(later)) == ("2026-11-21-abc", FIRST)
    assert len(earlier_looks(_entries(INITIAL, look, again), FIRST, TONIGHT)) == 2


def test_a_test_has_what_the_nights_of_the_one_before_it_have_earned() -> None:
    """Each night counts once, for the test that judged it first."""
    nights = ("2026-11-18", "2026-11-19", "2026-11-20")
    first = _look(FIRST, nights[0])
    whole = _look("2026-11-21-abc", nights[0], test=FIRST, gate_nights=nights)
    again = _look("2026-11-21-xyz", nights[0], gate_nights=nights)
    own = _look(TONIGHT, "2026-11-21")
    assert nights_before(_entries(INITIAL), TONIGHT) == 1
    for entries, before in (
        ((first, whole), 3),
        # What comes after its first look changes nothing, nor does its own entry.
        ((first, own, whole), 1),
        ((first, whole, own), 3),
        # The same nights under other settings are refused, and earn nothing a second time.
        ((first, whole, again), 3),
        # Where nothing was tested no night was taken.
        ((first, replace(own, run_key="2026-11-21-abc", gate_nights=())), 1),
    ):
        assert nights_before(_entries(INITIAL, *entries), TONIGHT) == before


def test_its_own_judgement_is_no_earlier_look() -> None:
    entries = _entries(INITIAL, _look(FIRST, "2026-11-19"))
    assert candidate_under_test(entries, FIRST) is None
    assert earlier_looks(entries, FIRST, FIRST) == ()


def test_a_night_without_a_fresh_one_changes_nothing() -> None:
    idle = _entry("judged", 3, "2026-11-21-abc", champion_version=1)
    entries = _entries(INITIAL, _look(FIRST, "2026-11-19"), idle)
    assert candidate_under_test(entries, TONIGHT) is not None


def test_a_test_ends() -> None:
    look = _look(FIRST, "2026-11-19")
    for entries in (
        (INITIAL,),
        (INITIAL, replace(look, goes_on=False)),
        (INITIAL, replace(look, champion_version=7)),
        (INITIAL, look, _entry("promoted", 5, "hand", champion_version=1)),
        (INITIAL, look, _entry("rejected", 2, FIRST)),
        (INITIAL, look, _entry("approved", 2, FIRST)),
    ):
        assert candidate_under_test(_entries(*entries), TONIGHT) is None
    # A decision on any look of the test ends it.
    again = _look("2026-11-21-abc", "2026-11-20", test=FIRST)
    entries = _entries(INITIAL, look, again, _entry("rejected", 2, FIRST))
    assert candidate_under_test(entries, TONIGHT) is None
    # Under other settings a run brings its own challenger.
    assert candidate_under_test(_entries(INITIAL, look), "2026-11-22-other") is None


def test_who_is_under_test_is_on_trial_under_whatever_settings() -> None:
    look = _look(FIRST, "2026-11-19")
    assert version_on_trial(_entries(INITIAL, look)) == 2
    for entries in (
        (INITIAL,),
        (INITIAL, replace(look, goes_on=False)),
        (INITIAL, look, _entry("promoted", 5, "hand", champion_version=1)),
        (INITIAL, look, _entry("rejected", 2, FIRST)),
    ):
        assert version_on_trial(_entries(*entries)) is None


def test_a_trial_ends_with_a_later_night_under_other_settings() -> None:
    """Which goes on with no test, although it may have had nothing to test."""
    look = _look(FIRST, "2026-11-19")
    for key, ends in (("2026-11-21-xyz", True), ("2026-11-20-xyz", False), (TONIGHT, False)):
        after = _entry("judged", 3, key, champion_version=1)
        found = version_on_trial(_entries(INITIAL, look, after))
        assert found == (None if ends else 2)


def test_a_trial_says_since_when_and_for_how_long() -> None:
    first = replace(_look(FIRST, "2026-11-19"), at="2026-11-20T02:00")
    again = _look(
        "2026-11-21-abc", "2026-11-20", test=FIRST, gate_nights=("2026-11-19", "2026-11-20")
    )
    found = trial_of(_entries(INITIAL, first, replace(again, version=3)))
    assert found is not None
    assert (found.version, found.maker, found.since, found.nights) == (
        3,
        FIRST,
        "2026-11-20T02:00",
        2,
    )
    told = found.in_words(0.25, 14)
    assert "chooses 25% of what" in told
    assert "for at most 12 more of its 14 nights (2 over so far)" in told
    assert "'mrlm decide 2026-11-21-abc --reject" in told
    assert trial_of(_entries(INITIAL, replace(first, goes_on=False))) is None


def test_a_trial_that_began_without_a_look_goes_on_until_somebody_has_the_last_word() -> None:
    begun = _look(FIRST, "2026-11-19", gate_nights=())
    for entries, version in (
        ((INITIAL, begun), 2),
        # A night without a fresh one looks at nobody.
        ((INITIAL, begun, _entry("judged", 3, "2026-11-21-abc", champion_version=1)), 2),
        ((INITIAL, begun, _entry("rejected", 2, FIRST)), None),
        ((INITIAL, begun, _look("2026-11-21-abc", "2026-11-20", test=FIRST, goes_on=False)), None),
    ):
        assert version_on_trial(_entries(*entries)) == version
    entries = _entries(INITIAL, replace(begun, at="2026-11-20T02:00"))
    found = candidate_under_test(entries, TONIGHT)
    assert found is not None
    assert maker_of(found) == FIRST
    # It is no look: the first one is still to come.
    assert earlier_looks(entries, FIRST, TONIGHT) == ()
    assert words_on(entries, FIRST, TONIGHT) == (found,)
    trial = trial_of(entries)
    assert trial is not None
    assert (trial.since, trial.nights) == ("2026-11-20T02:00", 0)
