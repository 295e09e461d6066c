"""Whom later nights do not take in again: salted hashes of pseudonyms."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, replace

from mrlm.promotion.record.ledger import LedgerError
from pipelines.contract.context import NightContext
from pipelines.contract.sealed import read_sealed, write_sealed
from pipelines.contract.workspace import Workspace
from pipelines.failures.errors import DamagedError

_REMEDY = "Put back a copy of it: without it, people who were forgotten would be taken in again"


@dataclass(frozen=True)
class ForgottenPeople:
    """The list of a workspace.

    Attributes:
        salt: of the hashes, random.
        hashes: of pseudonyms; see ``mrlm.privacy.person.salted``.
    """

    salt: str = ""
    hashes: tuple[str, ...] = ()


def forgotten_people(context: NightContext) -> ForgottenPeople:
    """Who was forgotten.

    Raises:
        DamagedError: the list is not as it was written, or is gone although the ledger says that
            somebody was forgotten.
    """
    found = read_list(context.workspace)
    if found.hashes:
        return found
    try:
        entries = context.registry.ledger.entries()
    except LedgerError:
        # Whoever decides by it says so.
        return found
    if any(e.kind == "forgotten" for e in entries):
        path = context.workspace.privacy / "forgotten.json"
        raise DamagedError(f"{path} is gone, and the ledger says that it was there. {_REMEDY}")
    return found


def read_list(workspace: Workspace) -> ForgottenPeople:
    """The list as it is; empty where there is none.

    Raises:
        DamagedError: it is not as it was written.
    """

    def made(data: dict[str, object]) -> ForgottenPeople:
        return ForgottenPeople(str(data["salt"]), tuple(map(str, data["hashes"])))  # type: ignore[call-overload]

    try:
        return read_sealed(workspace.privacy / "forgotten.json", made, _REMEDY)
    except FileNotFoundError:
        return ForgottenPeople()


def salt_of(workspace: Workspace) -> str:
    """The salt of the workspace's lists, made where there is none yet."""
    found = read_list(workspace)
    if not found.salt:
        found = ForgottenPeople(secrets.token_hex(16))
        _write(workspace, found)
    return found.salt


def remember(workspace: Workspace, digest: str) -> None:
    """Put a hash on the list; one that is there already stays."""
    found = read_list(workspace)
    if digest not in found.hashes:
        _write(workspace, replace(found, hashes=tuple(sorted({*found.hashes, digest}))))


def _write(workspace: Workspace, people: ForgottenPeople) -> None:
    workspace.privacy.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_sealed(workspace.privacy / "forgotten.json", asdict(people))
