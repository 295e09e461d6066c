"""Judge again what was judged, from what was kept, and say whether the verdict is the same."""

from __future__ import annotations

from dataclasses import dataclass

from mrlm.promotion.judgement.recording import verdict_after
from mrlm.promotion.judgement.verdict import Verdict
from mrlm.promotion.record.ledger import Entry, judgement
from mrlm.promotion.registry.place import RegistryPlace
from mrlm.promotion.registry.version_files import version_evidence, version_folder
from mrlm.promotion.settings import GateSettings


@dataclass(frozen=True)
class JudgedAgain:
    """A judgement, and the same computed again.

    Attributes:
        entry: of the ledger.
        verdict: on the version's evidence, after the entries before that one.
        differences: in words; empty: it is the same, to the last character.
    """

    entry: Entry
    verdict: Verdict
    differences: tuple[str, ...]


def judged_again(place: RegistryPlace, run_key: str, settings: GateSettings) -> JudgedAgain:
    """Judge a run key's evidence again, as the ledger stood before it was judged.

    Args:
        place: the registry.
        run_key: that was judged.
        settings: the rule's, as they are now.

    Raises:
        ValueError: the run key was not judged, or its version holds no evidence any more.
        LedgerError: the ledger is not what commands wrote.
    """
    entries = place.ledger.confirmed()
    entry = judgement(entries, run_key)
    if entry is None or entry.version is None:
        raise ValueError(f"the ledger holds no judgement of {run_key}; see 'mrlm status'")
    evidence = version_evidence(version_folder(place, entry.version))
    if evidence is None:
        raise ValueError(f"version {entry.version} holds no evidence")
    again = verdict_after(entries[: entry.sequence], evidence, settings)
    pairs = {
        "evidence": (entry.evidence, evidence.fingerprint()),
        "verdict": (entry.verdict, "promote" if again.promote else "refuse"),
        "reason": (entry.reason, again.reason),
    }
    differences = tuple(
        f"{what}: it was {before!r}, and is {now!r}"
        for what, (before, now) in pairs.items()
        if before != now
    )
    return JudgedAgain(entry, again, differences)
