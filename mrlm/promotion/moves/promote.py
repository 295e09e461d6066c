"""Make a version champion: only on a recorded decision, only against the champion it was judged
with, and only when it reproduces its evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mrlm.evidence.evidence import Evidence
from mrlm.promotion.judgement.recording import verdict_after
from mrlm.promotion.record.decision import departure, last_word
from mrlm.promotion.record.ledger import Entry, Kind, champion_stack, judgement
from mrlm.promotion.registry.alias_state import settle
from mrlm.promotion.registry.integrity import VersionError
from mrlm.promotion.registry.place import RegistryPlace
from mrlm.promotion.registry.version_files import version_evidence, version_folder
from mrlm.promotion.registry.versions import RegisteredVersion, annotate_version, find_version
from mrlm.promotion.reproduction.fresh_process import check_reproduction
from mrlm.promotion.settings import GateSettings


@dataclass(frozen=True)
class MoveOutcome:
    """What became of a call that may move the champion.

    Attributes:
        status: ``waiting`` is for a person's decision; ``unchanged``: the version is the champion's
            policy, and nobody has to decide.
        champion: version that is champion after the call; None: none.
        reason: in words.
    """

    status: Literal["promoted", "refused", "unchanged", "waiting", "rolled_back"]
    champion: int | None
    reason: str


def install_first_champion(
    place: RegistryPlace, run_key: str, settings: GateSettings, *, actor: str, at: str, reason: str
) -> MoveOutcome:
    """Make a registered version the first champion; refused when there has been one.

    Raises:
        ValueError: the run key has no version.
        VersionError: it is damaged, or does not reproduce its stored probabilities.
        RegistryBusyError, LedgerError, AliasMovedError: see there.
    """
    with place.locked(actor, settings.lock_seconds):
        entries = place.ledger.confirmed()
        settle(place, entries)
        version = _registered(place, run_key)
        stack = champion_stack(entries)
        if stack:
            if stack[0] == version.version:
                return MoveOutcome("promoted", stack[-1], "it was installed before")
            return MoveOutcome(
                "refused", stack[-1], f"there is a champion already, version {stack[-1]}"
            )
        found = check_reproduction(place, version, settings)
        return _move(place, version, "initial", actor, at, f"{reason}; {found}")


def promote(
    place: RegistryPlace, run_key: str, settings: GateSettings, *, actor: str, at: str
) -> MoveOutcome:
    """Make the run key's version champion if a decision says so; killed anywhere, call it again.

    A refusal is written into the ledger once for each reason. Waiting for a person is not.

    Args:
        place: the registry.
        run_key: of the version.
        settings: ``promotion`` says whether a verdict of the rule is enough.
        actor: who calls.
        at: ISO time.

    Raises:
        ValueError: the run key has no version.
        RegistryBusyError: somebody else holds the lock.
        LedgerError: the ledger is not what commands wrote.
        AliasMovedError: an alias was moved outside the ledger.
        TimeoutError, ChildProcessError: the fresh process did not end; try again.
    """
    with place.locked(actor, settings.lock_seconds):
        entries = place.ledger.confirmed()
        settle(place, entries)
        version = _registered(place, run_key)
        stack = champion_stack(entries)
        if stack and stack[-1] == version.version:
            return MoveOutcome("promoted", version.version, "it is champion already")
        try:
            evidence = version_evidence(version_folder(place, version.version))
        except VersionError as error:
            return _refuse(place, entries, version, actor, at, str(error))
        if evidence is None:
            return _refuse(place, entries, version, actor, at, "it was registered without evidence")
        decision = _decision(entries, evidence, version.version, settings)
        if isinstance(decision, MoveOutcome):
            if decision.status != "refused":
                return decision
            return _refuse(place, entries, version, actor, at, decision.reason, evidence)
        objection = _objection(entries, evidence)
        if objection:
            return _refuse(place, entries, version, actor, at, objection, evidence)
        try:
            found = check_reproduction(place, version, settings)
        except VersionError as error:
            return _refuse(place, entries, version, actor, at, str(error), evidence)
        reason = f"{decision.kind} by {decision.actor}: {decision.reason}; {found}"
        return _move(place, version, "promoted", actor, at, reason, evidence)


def _decision(
    entries: tuple[Entry, ...], evidence: Evidence, version: int, settings: GateSettings
) -> Entry | MoveOutcome:
    """The recorded decision to promote, or why there is none that holds."""
    champion = (champion_stack(entries) or (None,))[-1]

    def refused(reason: str) -> MoveOutcome:
        return MoveOutcome("refused", champion, reason)

    judged = judgement(entries, evidence.run_key)
    fingerprint = evidence.fingerprint()
    if judged is None:
        return refused("no judgement of it is recorded: run the gate first")
    if judged.evidence != fingerprint:
        return refused(
            f"its evidence {fingerprint[:12]} is not the one that was judged, "
            f"{judged.evidence[:12]}"
        )
    person, left = last_word(entries, evidence.run_key), departure(entries, version)
    if person is not None and person.kind == "rejected":
        return refused(f"rejected by {person.actor}: {person.reason}")
    if person is not None and (left is None or person.sequence > left.sequence):
        return person
    if left is not None and judged.sequence < left.sequence:
        return refused(f"{_left_how(left)}, and nobody has decided on it since: approve it anew")
    if evidence.stays:
        return MoveOutcome("unchanged", champion, judged.reason)
    objection = _objection_to_verdict(entries, judged, evidence, version, settings)
    if objection:
        return refused(objection)
    if settings.promotion == "person":
        return MoveOutcome(
            "waiting", champion, "the gate would promote it; a person has to approve"
        )
    return judged


def _left_how(left: Entry) -> str:
    if left.kind == "rolled_back":
        return f"it was rolled back by {left.actor}: {left.reason} (ledger entry {left.sequence})"
    return f"version {left.version} took its place (ledger entry {left.sequence})"


def _objection_to_verdict(
    entries: tuple[Entry, ...],
    judged: Entry,
    evidence: Evidence,
    version: int,
    settings: GateSettings,
) -> str:
    """Why the recorded verdict promotes nothing; "" when it is to promote, and the rule says so."""
    if judged.verdict != "promote":
        return f"the gate refused it: {judged.reason}"
    recorded = (judged.version, judged.champion_version, judged.gate_nights)
    found = (version, evidence.champion_version, evidence.gate_nights)
    if recorded != found:
        return (
            f"ledger entry {judged.sequence} judged version, champion and gate nights {recorded}, "
            f"and the version's evidence has {found}"
        )
    again = verdict_after(entries[: judged.sequence], evidence, settings)
    if not again.promote:
        return (
            f"ledger entry {judged.sequence} says that the gate would promote it, and on the same "
            f"evidence the rule as it is now refuses it: {again.reason}; a person may approve it"
        )
    return ""


def _objection(entries: tuple[Entry, ...], evidence: Evidence) -> str:
    """Why a decided promotion must not happen now; "" when it may."""
    stack = champion_stack(entries)
    champion = stack[-1] if stack else None
    if evidence.champion_version is None or evidence.champion_version != champion:
        return (
            f"its evidence compares it with champion version {evidence.champion_version}, and the "
            f"champion is version {champion}: evaluate it against that one"
        )
    return ""


def _registered(place: RegistryPlace, run_key: str) -> RegisteredVersion:
    version = find_version(place, run_key)
    if version is None:
        raise ValueError(f"no registered version has the run key {run_key!r}: register it first")
    return version


def _move(
    place: RegistryPlace,
    version: RegisteredVersion,
    kind: Kind,
    actor: str,
    at: str,
    reason: str,
    evidence: Evidence | None = None,
) -> MoveOutcome:
    place.ledger.append(_entry(version, kind, actor, at, reason, evidence))
    settle(place, place.ledger.confirmed())
    return MoveOutcome("promoted", version.version, reason)


def _refuse(
    place: RegistryPlace,
    entries: tuple[Entry, ...],
    version: RegisteredVersion,
    actor: str,
    at: str,
    reason: str,
    evidence: Evidence | None = None,
) -> MoveOutcome:
    own = [e for e in entries if e.run_key == version.run_key]
    if not own or (own[-1].kind, own[-1].reason) != ("refused", reason):
        place.ledger.append(_entry(version, "refused", actor, at, reason, evidence))
    annotate_version(place, version.version, tags={"status": "refused"})
    return MoveOutcome("refused", (champion_stack(entries) or (None,))[-1], reason)


def _entry(
    version: RegisteredVersion,
    kind: Kind,
    actor: str,
    at: str,
    reason: str,
    evidence: Evidence | None,
) -> Entry:
    return Entry(
        kind=kind,
        run_key=version.run_key,
        version=version.version,
        actor=actor,
        at=at,
        reason=reason,
        evidence="" if evidence is None else evidence.fingerprint(),
        champion_version=None if evidence is None else evidence.champion_version,
        gate_nights=() if evidence is None else evidence.gate_nights,
    )
