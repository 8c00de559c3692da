"""What goes wrong with a homeserver, named once."""

from __future__ import annotations

from typing import ClassVar

from gateway.sdk import Unavailable


class HomeserverDown(Unavailable):
    """No answer, or one that says "later"."""

    sentence: ClassVar[str] = "The Matrix homeserver does not answer now."

    def __init__(self, detail: str = "", after: float | None = None) -> None:
        super().__init__(detail)
        self.after = after
        """Seconds that it asked us to wait."""


class HomeserverRefused(Exception):
    """It said no, and will say so again."""

    def __init__(self, status: int, errcode: str, error: str) -> None:
        super().__init__(f"{status} {errcode}: {error}")
        self.status = status
        self.errcode = errcode
        self.error = error


class AnswerTooLarge(HomeserverRefused):
    """More than is read of any answer, and no less when it is asked for again."""


class BadEvent(Exception):
    """An event that cannot be read: parked, and the rest goes on."""

    def __init__(self, detail: str, *, syntax: bool = False) -> None:
        super().__init__(detail)
        self.syntax = syntax
        """True when it is no JSON at all."""


class Unfit(Exception):
    """A message that can be read but not carried over; its writer is told the sentence."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
