"""What the rows of a table are: decisions, slots of slates or steps of sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mrlm.ope.table.columns.listed import listed

DECISION, SLATE, SESSION = "decision", "slate", "session"


@dataclass(frozen=True)
class Layout:
    """How rows make up the rounds whose value is estimated.

    Attributes:
        round: ``decision``: the value is the expected reward of a row; ``slate``: the expected
            sum of the rewards of a request's slots; ``session``: the expected discounted sum of
            the rewards of a session's steps.
        round_id: column that says which round a row belongs to; None where each row is a round.
        place: column of the row's place in its round, counting from 0 or 1; None likewise.
        unused: columns of a place that lack the column of the round, where none was asked for.
    """

    round: str = DECISION
    round_id: str | None = None
    place: str | None = None
    unused: tuple[str, ...] = ()

    @classmethod
    def of(cls, names: Sequence[str], round: str | None = None) -> Layout:
        """The layout that the columns of a table have, or the one that is asked for.

        ``request_id`` and ``slot`` make slates, ``session_id`` and ``step`` sessions.

        Raises:
            ValueError: the columns of the layout that is asked for are missing, or those of two
                are there and none is asked for.
        """
        if round is not None and round not in {DECISION, *_COLUMNS}:
            raise ValueError(
                f"a round must be one of {DECISION}, {SLATE}, {SESSION}; got {round!r}"
            )
        if round == DECISION:
            return cls()
        found = [e for e, pair in _COLUMNS.items() if all(c in names for c in pair)]
        if round is not None and round not in found:
            raise ValueError(
                f"the value of a {round} needs the columns {' and '.join(_COLUMNS[round])}; "
                f"the columns are {listed(names)}"
            )
        if round is None and len(found) > 1:
            raise ValueError(
                "request_id and slot make slates, session_id and step make sessions: say which "
                f"value is wanted, --round {SLATE}, {SESSION} or {DECISION}"
            )
        chosen = round or next(iter(found), None)
        if chosen is None:
            return cls(unused=tuple(place for _, place in _COLUMNS.values() if place in names))
        return cls(chosen, *_COLUMNS[chosen])


_COLUMNS: dict[str, tuple[str, str]] = {
    SLATE: ("request_id", "slot"),
    SESSION: ("session_id", "step"),
}
