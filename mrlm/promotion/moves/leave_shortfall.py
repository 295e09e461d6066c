"""Leave a champion that falls short of its promise, where the settings say so."""

from __future__ import annotations

from mrlm.promotion.moves.promote import MoveOutcome
from mrlm.promotion.moves.rollback import rollback
from mrlm.promotion.record.shortfall import open_shortfall
from mrlm.promotion.registry.place import RegistryPlace
from mrlm.promotion.settings import GateSettings


def leave_shortfall(
    place: RegistryPlace, settings: GateSettings, run_key: str, *, actor: str, at: str
) -> MoveOutcome | None:
    """Roll back what fell short, with the checks of every rollback; killed anywhere, call it again.

    Args:
        place: the registry.
        settings: ``watch`` says whether; the others are those of ``rollback``.
        run_key: of the run that asks.
        actor: who calls.
        at: ISO time.

    Returns:
        What was done, also by an earlier call of the same run; None where there is nothing to do.

    Raises:
        ValueError: see ``rollback``: the version before is gone or is not what was registered.
        RegistryBusyError, LedgerError, AliasMovedError, TimeoutError, ChildProcessError: see there.
    """
    if settings.watch != "enforce":
        return None
    entries = place.ledger.entries()
    request = f"watch of run {run_key}"
    done = next((e for e in entries if e.request == request), None)
    short = open_shortfall(entries)
    if done is None and short is None:
        return None
    return rollback(
        place,
        settings,
        actor=actor,
        at=at,
        reason="" if short is None else f"the watch (gate.watch = enforce): {short.reason}",
        leaving=None if short is None else short.version,
        request=request,
    )
