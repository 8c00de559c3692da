"""An adapter alone, with a gateway in memory and a server that says whatever a test wants."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from adapters.xmpp.adapter import XmppAdapter
from adapters.xmpp.settings import XmppSettings
from gateway.demo.xmpp_stanza import Stanza, element
from gateway.demo.xmpp_user import RECEIPTS
from gateway.ids import CanonicalId, EnsName, MessageHash
from gateway.sdk import Attachment, Delivery, MessageType
from gateway.sdk.testing import MemoryContext
from tests.support.component_server import COMPONENT, DOMAIN, HOST, SECRET, ComponentServer, component_server
from tests.support.waiting import until

ALICE = EnsName("alice.eth")
CONTACT = f"{ALICE}@{COMPONENT}"
BOB = f"bob@{DOMAIN}/phone"
_numbers = itertools.count(1)


@dataclass
class Gate:
    """An adapter, and the server that it is connected to."""

    server: ComponentServer
    adapter: XmppAdapter
    ctx: MemoryContext

    def say(self, inside: str, *, name: str = "message", **attributes: str) -> None:
        """A stanza of Bob's to the contact, unless it says otherwise; an empty attribute is left out."""
        given = {"from": BOB, "to": CONTACT, "id": f"s{next(_numbers)}", **attributes}
        self.server.say(element(name, {key: value or None for key, value in given.items()}, inside))

    async def takes_messages(self, sender: str = BOB) -> None:
        """A message of Bob's is taken, and he gets a receipt."""
        id = f"good{next(_numbers)}"
        self.say(f"<body>{id}</body><request xmlns='{RECEIPTS}'/>", **{"from": sender, "id": id, "type": "chat"})
        await self.server.heard.first(lambda each: each.get("received", "id") == id, 15)
        assert any(each.text == id for each in self.ctx.taken)

    async def up_again(self, connections: int) -> None:
        """Connected, for the so-manieth time."""

        async def look() -> bool | None:
            return (self.server.connections >= connections and self.adapter.connected) or None

        await until(look, 20)

    def since(self, before: int) -> list[Stanza]:
        """What the adapter said after so many stanzas, without pings."""
        return [each for each in self.server.heard.items[before:] if not each.has("ping")]


def delivery(text: str, *attachments: Attachment) -> Delivery:
    """From Alice for Bob."""
    number = next(_numbers)
    return Delivery(
        key=f"{number:064x}",
        recipient=CanonicalId(f"bob@{DOMAIN}"),
        recipient_name=EnsName(f"bob.{DOMAIN}.xmpp.gw.eth"),
        sender=ALICE,
        verified=True,
        type=MessageType.NEW,
        text=text,
        attachments=attachments,
        message_hash=MessageHash(f"0x{number:064x}"),
        sent_at=0,
    )


@asynccontextmanager
async def opened_gate(folder: Path, *, messages_per_minute: int = 100_000) -> AsyncIterator[Gate]:
    """Connected while it is entered."""
    secret = folder / "secret"
    secret.write_text(SECRET)
    async with component_server() as server:
        adapter = XmppAdapter(
            XmppSettings(
                component=COMPONENT,
                host=HOST,
                port=server.port,
                secret_file=secret,
                messages_per_minute=messages_per_minute,
            )
        )
        ctx = MemoryContext(network=adapter.name, known_names={ALICE})
        await adapter.open(ctx)
        running = asyncio.create_task(adapter.run())
        opened = Gate(server, adapter, ctx)
        await opened.up_again(1)
        try:
            yield opened
        finally:
            await adapter.close()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
