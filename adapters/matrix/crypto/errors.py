"""What goes wrong with encrypted rooms, named once."""

from __future__ import annotations

from typing import ClassVar

from adapters.matrix.errors import HomeserverDown
from gateway.sdk import Unavailable


class KeyMissing(Exception):
    """The key of an encrypted event is not there; it may still be on its way."""


class Undecipherable(Exception):
    """An encrypted event that cannot be read, now or later."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class WrongStore(Unavailable):
    """A crypto store that another installation wrote, or this one with another seed."""

    sentence: ClassVar[str] = "The keys of encrypted rooms cannot be opened; the operator must look at this gateway."


class KeyAwaited(Unavailable):
    """The key of an event is waited for; what follows in its room waits too."""

    sentence: ClassVar[str] = "The key of an encrypted message has not come yet."


class DevicesUnknown(HomeserverDown):
    """Nobody in a room would get the key, because nothing could be learnt of anybody's devices."""

    sentence: ClassVar[str] = "The devices of the people in this encrypted room cannot be learnt now."
