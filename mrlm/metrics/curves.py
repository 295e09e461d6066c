"""Curves of a training: what a loss or a held-back value was, step by step."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Curves:
    """Values by curve and step, in the order in which they were added.

    Attributes:
        points: curve to its (step, value); names are paths such as ``reward_model/0/loss``.
        folder: put before the names of what is added here.
    """

    points: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    folder: str = ""

    def add(self, name: str, step: int, value: float) -> None:
        """One more point of a curve."""
        self.points.setdefault(self.folder + name, []).append((step, value))

    def extend(self, others: Curves) -> None:
        """All points of other curves, under their names."""
        for name, points in others.points.items():
            for step, value in points:
                self.add(name, step, value)

    def under(self, folder: str) -> Curves:
        """The same curves, to which others are added under a folder's name."""
        return Curves(self.points, f"{self.folder}{folder}/")
