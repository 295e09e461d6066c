"""The challenger that is under test over several nights; pure functions of the ledger's entries."""

from __future__ import annotations

from mrlm.promotion.record.decision import last_word
from mrlm.promotion.record.ledger import Entry, champion_stack


def earlier_looks(entries: tuple[Entry, ...], test: str, run_key: str) -> tuple[Entry, ...]:
    """The looks of a test by other runs than this one, oldest first.

    Args:
        entries: of the ledger.
        test: run key of the run that made the challenger.
        run_key: of the run whose look comes next.
    """
    return tuple(e for e in words_on(entries, test, run_key) if e.gate_nights)


def words_on(entries: tuple[Entry, ...], test: str, run_key: str) -> tuple[Entry, ...]:
    """As ``earlier_looks``, and before them the word by which a trial began without a look."""
    return tuple(e for e in of_tests(entries, run_key) if maker_of(e) == test)


def maker_of(judged: Entry) -> str:
    """Run key of the run that made the challenger that was judged."""
    return judged.test or judged.run_key


def nights_before(entries: tuple[Entry, ...], test: str) -> int:
    """Gate nights that the test before this one took; 1: there is none before it.

    A night belongs to the test that judged it first: judged again, it is refused and earns nothing.

    Args:
        entries: of the ledger.
        test: run key of the run that made the challenger.
    """
    owner: dict[str, str] = {}
    for entry in entries:
        if entry.kind != "judged":
            continue
        if maker_of(entry) == test:
            break
        for night in entry.gate_nights:
            owner.setdefault(night, maker_of(entry))
    owners = list(owner.values())
    return owners.count(owners[-1]) if owners else 1


def rejection(entries: tuple[Entry, ...], judged: tuple[Entry, ...]) -> Entry | None:
    """A person's rejection of a challenger at one of these, the last word on it; or None."""
    words = [last_word(entries, entry.run_key) for entry in judged]
    return next((w for w in reversed(words) if w is not None and w.kind == "rejected"), None)


def candidate_under_test(entries: tuple[Entry, ...], run_key: str) -> Entry | None:
    """The newest look at the challenger that this run goes on with; None: its own is the next.

    The newest test goes on until the gate ends it, the champion it is compared with is champion no
    more, or a person has decided on it. A run under other settings brings its own challenger, which
    takes its place.

    Args:
        entries: of the ledger.
        run_key: of tonight's run, a night and after it the settings' fingerprint.
    """
    last = _goes_on(entries, run_key)
    other = last is not None and last.run_key.rpartition("-")[2] != run_key.rpartition("-")[2]
    return None if other else last


def version_on_trial(entries: tuple[Entry, ...], since: str = "") -> int | None:
    """Version of the challenger whose test goes on, under whatever settings; None: none does.

    A later night under other settings does not go on with it, whether or not it tests another.

    Args:
        entries: of the ledger.
        since: ISO date of the night before which the newest look must not lie.
    """
    last = _goes_on(entries)
    if last is None or last.run_key[: len(since)] < since:
        return None
    night, _, settings = last.run_key.rpartition("-")
    later = (e.run_key.rpartition("-") for e in entries[last.sequence :] if e.kind == "judged")
    return None if any(n > night and s != settings for n, _, s in later) else last.version


def _goes_on(entries: tuple[Entry, ...], run_key: str = "") -> Entry | None:
    """The newest word, not by this run, on a challenger whose test goes on; None: none does."""
    judged = of_tests(entries, run_key)
    last = judged[-1] if judged else None
    if last is None or not last.goes_on:
        return None
    champion = (champion_stack(entries) or (None,))[-1]
    words = words_on(entries, maker_of(last), run_key)
    decided = any(last_word(entries, word.run_key) is not None for word in words)
    return None if last.champion_version != champion or decided else last


def of_tests(entries: tuple[Entry, ...], run_key: str = "") -> list[Entry]:
    """Judgements by other runs that look at gate nights, or begin a trial before there are any."""
    return [
        e
        for e in entries
        if e.kind == "judged" and (e.gate_nights or e.goes_on) and e.run_key != run_key
    ]
