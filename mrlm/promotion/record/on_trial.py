"""Who serves a share while under test, since when, and what ends it; by the ledger's entries."""

from __future__ import annotations

from dataclasses import dataclass

from mrlm.messages.message import Message
from mrlm.promotion.record.candidate import maker_of, version_on_trial, words_on
from mrlm.promotion.record.ledger import Entry


@dataclass(frozen=True)
class OnTrial:
    """A test that goes on, and with it the trial where ``gate.trial_share`` is above 0.

    Attributes:
        version: as which the challenger was registered last.
        run_key: of the newest look.
        maker: run key of the run that made the challenger.
        since: ISO time of the judgement with which the trial began.
        nights: gate nights that the looks so far rest on.
    """

    version: int
    run_key: str
    maker: str
    since: str
    nights: int

    def in_words(self, share: float, test_nights: int) -> Message:
        """Who, since when, at which share, for how long at most, and what ends it.

        Args:
            share: the setting ``gate.trial_share``, above 0.
            test_nights: the setting ``gate.test_nights``.
        """
        return Message(
            "on trial since {since}: the challenger of run {maker}, version {version} by now, "
            "chooses {share:.0%} of what 'mrlm serve' and the published lists show, for at "
            "most {left} more of its {most} nights ({nights} over so far). The trial ends when "
            "the gate promotes the challenger or gives it up, with the last night, or at a "
            "person's word: "
            "'mrlm decide {run_key} --reject --actor YOU --reason WHY'",
            since=self.since,
            maker=self.maker,
            version=self.version,
            share=share,
            left=max(test_nights - self.nights, 0),
            nights=self.nights,
            most=test_nights,
            run_key=self.run_key,
        )


def trial_of(entries: tuple[Entry, ...], since: str = "") -> OnTrial | None:
    """Who would serve a share now; None: nobody is under test.

    Args:
        entries: of the ledger.
        since: see ``version_on_trial``.
    """
    version = version_on_trial(entries, since)
    if version is None:
        return None
    last = [e for e in entries if e.kind == "judged" and e.goes_on and e.version == version][-1]
    first = (*words_on(entries, maker_of(last), last.run_key), last)[0]
    return OnTrial(version, last.run_key, maker_of(last), first.at, len(last.gate_nights))
