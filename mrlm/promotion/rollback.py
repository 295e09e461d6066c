"""Make the champion before this one champion again."""

from __future__ import annotations

from mrlm.promotion.alias_state import last_move, settle
from mrlm.promotion.fresh_process import check_reproduction
from mrlm.promotion.ledger import Entry, champion_stack
from mrlm.promotion.place import RegistryPlace
from mrlm.promotion.promote import Outcome
from mrlm.promotion.registry import all_versions, annotate_version
from mrlm.promotion.settings import GateSettings


def rollback(
    place: RegistryPlace,
    *,
    actor: str,
    at: str,
    reason: str,
    to: int | None = None,
    settings: GateSettings | None = None,
    seconds: float = 600.0,
) -> Outcome:
    """Go back to the champion before, or to an earlier one; killed anywhere, call it again.

    The alias moves only to a version that is whole and gives its probabilities.

    Args:
        place: the registry.
        actor: who calls.
        at: ISO time.
        reason: for the ledger.
        to: version to go back to; None: the one before the champion.
        settings: how closely, and how fast, its probabilities must be given; None: the defaults.
        seconds: longest wait for the lock.

    Raises:
        ValueError: there is no earlier champion, or ``to`` was never one, or it is gone.
        NoHashesError: it was registered before hashes of its files were kept.
        DamagedVersionError, ReproductionError: it is not what was registered.
        TimeoutError, ChildProcessError: the fresh process did not end; try again.
        RegistryBusyError, LedgerError, AliasMovedError: see there.
    """
    with place.locked(actor, seconds):
        entries = place.ledger.entries()
        finished, move = settle(place, entries), last_move(entries)
        stack = champion_stack(entries)
        if finished and move is not None and move.kind == "rolled_back":
            return Outcome("rolled_back", stack[-1], f"finished what was begun: {move.reason}")
        if to is not None and stack and to == stack[-1]:
            return Outcome("rolled_back", to, "it is champion already")
        if len(stack) < 2 or (to is not None and to not in stack):
            raise ValueError(
                f"nothing to roll back to: the champions so far are {list(stack)}"
                + ("" if to is None else f", version {to} is none of them")
            )
        target = stack[-2] if to is None else to
        version = next((v for v in all_versions(place) if v.version == target), None)
        if version is None:
            raise ValueError(f"version {target} is no longer in the registry")
        check_reproduction(place, version, settings or GateSettings())
        place.ledger.append(
            Entry(
                kind="rolled_back",
                run_key=version.run_key,
                version=target,
                actor=actor,
                at=at,
                reason=reason,
                champion_version=stack[-1],
            )
        )
        settle(place, place.ledger.entries())
        annotate_version(place, stack[-1], tags={"status": "rolled back"})
        return Outcome("rolled_back", target, reason)
