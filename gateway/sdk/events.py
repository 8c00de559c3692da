"""Native events: what a network pushes to us, written down before it is acknowledged and worked on afterwards.

For networks that hand over batches of events and repeat them until these are acknowledged, as a Matrix homeserver does.
An adapter of a network that delivers one message at a time submits it at once and needs none of this.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from gateway.sdk.delivery import Retry


@dataclass(frozen=True, slots=True)
class NativeEvent:
    """One event as the network gave it."""

    lane: str
    """What it belongs to: events of one lane are handled in order, one at a time, by one node."""
    key: str
    """The network's own id, by which a repeat is recognised where it can be; "" for what is always handled again."""
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Handled:
    """Nothing is left to do."""


@dataclass(frozen=True, slots=True)
class Parked:
    """It cannot be handled, now or later: it is set aside for the operator, and its lane goes on."""

    reason: str


EventOutcome = Handled | Retry | Parked


@runtime_checkable
class HandlesEvents(Protocol):
    """Works on events that the adapter handed to `AdapterContext.take`."""

    async def handle(self, event: NativeEvent) -> EventOutcome:
        """Handle one; whatever is raised counts as `Retry`, some times, and then as `Parked`.

        The same event comes again after `Retry` and after a crash, so each step must bear being repeated.
        """
