"""A complete adapter for a network of one process: rooms in memory, one per person."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from gateway.sdk import (
    AdapterContext,
    CanonicalId,
    Capabilities,
    Delivered,
    Delivery,
    EnsName,
    MessageType,
    NativeId,
    Network,
    Outcome,
    Outgoing,
    Person,
    Rejected,
    TextFormat,
)


class ExampleSettings(BaseModel):
    """The table ``[adapters.example]``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    longest: int = 100_000


@dataclass
class Rooms:
    """The foreign network: what each of its people can read."""

    texts: dict[CanonicalId, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    """By person and message key, in order of arrival: the key is what makes a repeat harmless."""


class ExampleAdapter:
    """Carries text to and from `Rooms`."""

    name: ClassVar[Network] = Network("example")
    capabilities: ClassVar[Capabilities] = Capabilities(
        types=frozenset({MessageType.NEW}),
        max_text=100_000,
        max_attachments=0,
        max_attachment_bytes=0,
        text_format=TextFormat.PLAIN,
        idempotent=True,
        ordered=True,
    )
    Settings: ClassVar[type[BaseModel]] = ExampleSettings

    def __init__(self, settings: ExampleSettings) -> None:
        self._settings = settings
        self.rooms = Rooms()
        self._ctx: AdapterContext | None = None

    async def open(self, ctx: AdapterContext) -> None:
        """A network with sockets would connect and listen here."""
        self._ctx = ctx

    async def run(self) -> None:
        """Nothing happens by itself here."""
        await asyncio.Event().wait()

    async def write(self, person: Person, recipient: EnsName, text: str, native_id: NativeId, sent_at: int) -> None:
        """Somebody of this network writes to an ENS name: return, and so acknowledge, only after `submit`."""
        if self._ctx is None:
            raise ConnectionError("closed")
        await self._ctx.submit(
            Outgoing(sender=person, recipient=recipient, native_id=native_id, sent_at=sent_at, text=text)
        )

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Show a message to one person of this network."""
        if delivery.attachments or len(delivery.text) > self._settings.longest:
            return Rejected("this network carries short texts and no files")
        self.rooms.texts[delivery.recipient].setdefault(delivery.key, delivery.text)
        return Delivered(NativeId(delivery.key))

    async def close(self) -> None:
        """A network with sockets would disconnect here."""
        self._ctx = None
