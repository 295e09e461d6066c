"""One look of a test: how far it is, and the level at which it may decide."""

from __future__ import annotations

from dataclasses import dataclass

from mrlm.messages.message import Message
from mrlm.promotion.judgement.levels import look_level
from mrlm.promotion.settings import GateSettings


@dataclass(frozen=True)
class Look:
    """A look of a test of several nights.

    Attributes:
        sizes: gate nights that each look so far rests on, rising, this one last.
        before: gate nights that the test before this one took.
        information: see ``look_level``; (): not known.
    """

    sizes: tuple[int, ...] = (1,)
    before: int = 1
    information: tuple[float, ...] = ()

    @property
    def nights(self) -> int:
        """Gate nights that this look rests on."""
        return self.sizes[-1]

    def level(self, settings: GateSettings, total: float) -> float:
        """One-sided level of this look, where a year's tests share the error ``total``.

        Raises:
            ValueError: looks do not rise from 1 or more.
        """
        return look_level(self.sizes, settings.test_nights, total, self.information, self.before)

    def in_words(self, settings: GateSettings) -> Message:
        """Its number, and its nights of those that a test may take."""
        return Message(
            "look {look}, {nights} of {most} nights",
            look=len(self.sizes),
            nights=self.nights,
            most=settings.test_nights,
        )
