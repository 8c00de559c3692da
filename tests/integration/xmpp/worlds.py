"""A gateway with the XMPP adapter, a Prosody that knows it, and people on both sides."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.xmpp.adapter import XmppAdapter
from adapters.xmpp.settings import XmppSettings
from gateway.demo.xmpp_server import XmppServer
from gateway.demo.xmpp_user import XmppUser
from gateway.dm3.data_uri import data_uri
from gateway.dm3.message import MessageType
from gateway.ens.profiles import PROFILE_KEY
from gateway.ids import EnsName
from gateway.operations.dm3_client import Dm3Client, Received
from tests.support.house import House, running_house
from tests.support.waiting import until

PASSWORD = "a password"
WITHOUT_RATES = {"DM3_GATEWAY__RELAY__LOG_INS_PER_MINUTE": "0", "DM3_GATEWAY__RELAY__CALLS_PER_MINUTE": "0"}
"""All native clients of all tests have one address."""
_numbers = itertools.count(1)


@dataclass
class XmppWorld:
    """One gateway, one server."""

    house: House
    server: XmppServer
    adapter: XmppAdapter
    heard: dict[EnsName, list[Received]] = field(default_factory=dict)

    async def person(self, name: str = "") -> XmppUser:
        """A human of this server."""
        local = name or f"person{next(_numbers)}"
        await self.server.register(local, PASSWORD)
        return await self.server.connect(local, PASSWORD)

    async def native(self, name: str = "", service: str = "") -> Dm3Client:
        """A native DM3 client with a wallet of its own and a profile that names this gateway."""
        client = Dm3Client(
            name=EnsName(name or f"native{next(_numbers)}.eth"),
            wallet=secrets.token_bytes(32),
            profiles=self.house.profiles,
            http=self.house.http,
            service=EnsName(service) if service else self.house.gateway.service_name,
        )
        await asyncio.to_thread(_publish, self.house, client)
        return client

    def contact(self, client: Dm3Client) -> str:
        """The address that stands for a native client."""
        return f"{client.name}@{self.server.component}"

    def name_of(self, person: XmppUser) -> EnsName:
        """The sub-name of a human."""
        local, _, server = person.jid.partition("@")
        return EnsName(f"{local}.{server}.xmpp.gw.eth")

    async def mail(
        self, client: Dm3Client, number: int = 1, kind: MessageType = MessageType.NEW, seconds: float = 15
    ) -> list[Received]:
        """What came for a native client, once there are so many of a kind; all that came so far is kept in order."""
        heard = self.heard.setdefault(client.name, [])

        async def look() -> list[Received] | None:
            new = await client.fetch()
            if new:
                await client.acknowledge(*new)
                heard.extend(new)
            found = [each for each in heard if each.message.type is kind]
            return found if len(found) >= number else None

        return await until(look, seconds)


def words(received: Received) -> str:
    """The text without the notice that a first message carries."""
    return (received.message.text or "").partition("\n\n-- \n")[0]


def _publish(house: House, client: Dm3Client) -> None:
    """The chain's root owns the name: the wallet is none of its accounts."""
    ens = house.chain.ens
    ens.register(client.name)
    ens.set_addr(client.name, client.address)
    ens.set_text(client.name, PROFILE_KEY, data_uri(client.signed_profile().to_text()))


@asynccontextmanager
async def xmpp_world(
    folder: Path, server: XmppServer, *, settings: Mapping[str, Any] | None = None
) -> AsyncIterator[XmppWorld]:
    """A gateway for a server that runs already; ``settings`` are further keys of ``[adapters.xmpp]``."""
    async with AsyncExitStack() as stack:
        secret = folder / "xmpp.secret"
        secret.write_text(server.secret)
        adapter = XmppAdapter(
            XmppSettings(
                component=server.component,
                host=server.host,
                port=server.component_port,
                secret_file=secret,
                **(settings or {}),
            )
        )
        house = await stack.enter_async_context(
            running_house(folder / "house", adapters={adapter.name: adapter}, overrides=WITHOUT_RATES)
        )

        async def connected() -> bool | None:
            return adapter.connected or None

        await until(connected)
        yield XmppWorld(house, server, adapter)
