"""Make the champion before this one champion again."""

from __future__ import annotations

from mrlm.promotion.moves.promote import MoveOutcome
from mrlm.promotion.record.decision import departure, last_move
from mrlm.promotion.record.ledger import Entry, champion_stack
from mrlm.promotion.registry.alias_state import settle
from mrlm.promotion.registry.integrity import VersionError
from mrlm.promotion.registry.place import RegistryPlace
from mrlm.promotion.registry.versions import all_versions
from mrlm.promotion.reproduction.fresh_process import check_reproduction
from mrlm.promotion.settings import GateSettings


def rollback(
    place: RegistryPlace,
    settings: GateSettings,
    *,
    actor: str,
    at: str,
    reason: str,
    to: int | None = None,
    leaving: int | None = None,
    request: str = "",
) -> MoveOutcome:
    """Go back to the champion before, or to an earlier one; killed anywhere, call it again.

    A call is the same as one before, and moves nothing, if it answers the same ``request``; or if
    it leaves a version that a rollback has left already; or, where it names neither these nor a
    target, if the last move is a rollback by the same actor for the same reason. The alias moves
    only to a version that is whole and gives its probabilities.

    Args:
        place: the registry.
        settings: tolerance of the reproduction, and how long to wait for the lock.
        actor: who calls.
        at: ISO time.
        reason: for the ledger.
        to: version to go back to; None: the one before the champion.
        leaving: version that must be champion now; None: whichever is.
        request: what asks for it, such as a run of Airflow; "": nothing that has a name.

    Raises:
        ValueError: there is no earlier champion, or ``to`` was never one, or it is gone, or the
            champion is not ``leaving``.
        NoHashesError: it was registered before hashes of its files were kept.
        DamagedVersionError, ReproductionError: it is not what was registered.
        RegistryBusyError, LedgerError, AliasMovedError: see there.
        TimeoutError, ChildProcessError: the fresh process did not end; try again.
    """
    with place.locked(actor, settings.lock_seconds):
        entries = place.ledger.confirmed()
        finished, move = settle(place, entries), last_move(entries)
        stack = champion_stack(entries)
        if finished and move is not None and move.kind == "rolled_back":
            return MoveOutcome("rolled_back", stack[-1], f"finished what was begun: {move.reason}")
        done = _done_before(entries, actor, reason, to, leaving, request)
        if done is not None:
            return MoveOutcome(
                "rolled_back",
                stack[-1],
                f"done before: version {done.champion_version} was left for {done.version} "
                f"{done.at} by {done.actor}, and the champion is version {stack[-1]}. To go back "
                f"further, name the version to leave: --from {stack[-1]}",
            )
        if to is not None and stack and to == stack[-1]:
            return MoveOutcome("rolled_back", to, "it is champion already")
        if leaving is not None and (not stack or stack[-1] != leaving):
            raise ValueError(
                f"the champion is version {stack[-1] if stack else None}, not {leaving}: nothing "
                "was rolled back"
            )
        if len(stack) < 2 or (to is not None and to not in stack):
            raise ValueError(
                f"nothing to roll back to: the champions so far are {list(stack)}"
                + ("" if to is None else f", version {to} is none of them")
            )
        target = stack[-2] if to is None else to
        version = next((v for v in all_versions(place) if v.version == target), None)
        if version is None:
            raise ValueError(
                f"version {target} is no longer in the registry; --to names an earlier champion, "
                f"of {list(stack[:-1])}"
            )
        try:
            check_reproduction(place, version, settings)
        except VersionError as error:
            raise type(error)(
                f"{error}. Until it is mended, --to names another champion of before, of "
                f"{list(stack[:-1])}"
            ) from error
        place.ledger.append(
            Entry(
                kind="rolled_back",
                run_key=version.run_key,
                version=target,
                actor=actor,
                at=at,
                reason=reason,
                champion_version=stack[-1],
                request=request,
            )
        )
        settle(place, place.ledger.confirmed())
        return MoveOutcome("rolled_back", target, reason)


def _done_before(
    entries: tuple[Entry, ...],
    actor: str,
    reason: str,
    to: int | None,
    leaving: int | None,
    request: str,
) -> Entry | None:
    """The rollback that an earlier call like this one made, or None."""
    if request:
        return next((e for e in entries if e.kind == "rolled_back" and e.request == request), None)
    if leaving is not None:
        left = None if leaving in champion_stack(entries)[-1:] else departure(entries, leaving)
        return left if left is not None and left.kind == "rolled_back" else None
    move = last_move(entries)
    if to is not None or move is None:
        return None
    return move if (move.kind, move.actor, move.reason) == ("rolled_back", actor, reason) else None
