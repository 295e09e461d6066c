"""The rows that every benchmark prints."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Row:
    """One measured quantity against its bar.

    Attributes:
        measure: what was measured, with its unit.
        ours: our figure.
        peer: the peer's on the same input; None where there is none.
        bar: what must hold, in words.
        holds: whether it does; None for a figure without a bar.
        note: sizes, Monte Carlo error, what the peer is.
    """

    measure: str
    ours: float
    peer: float | None = None
    bar: str = ""
    holds: bool | None = None
    note: str = ""

    def where(self, judged: bool) -> Row:
        """The row; without its bar where it is not judged, as where too little was run."""
        return self if judged else replace(self, bar="", holds=None)

    def to_json(self) -> dict[str, object]:
        """The fields, and ``ratio``, ours over the peer's."""
        return {
            "measure": self.measure,
            "ours": self.ours,
            "peer": self.peer,
            "ratio": self.ours / self.peer if self.peer else None,
            "bar": self.bar,
            "holds": self.holds,
            "note": self.note,
        }
