"""A gateway with the XMPP adapter, a Prosody that knows it, and people on both sides."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.xmpp.adapter import XmppAdapter
from adapters.xmpp.settings import XmppSettings
from gateway.demo.xmpp_server import XmppServer
from gateway.demo.xmpp_user import XmppUser
from gateway.ids import EnsName
from gateway.operations.dm3_client import Dm3Client, Received
from tests.support.house import running_house
from tests.support.natives import WITHOUT_RATES, Natives
from tests.support.waiting import until

PASSWORD = "a password"
_numbers = itertools.count(1)


@dataclass(kw_only=True)
class XmppWorld(Natives):
    """One gateway, one server."""

    server: XmppServer
    adapter: XmppAdapter

    async def person(self, name: str = "") -> XmppUser:
        """A human of this server."""
        local = name or f"person{next(_numbers)}"
        await self.server.register(local, PASSWORD)
        return await self.server.connect(local, PASSWORD)

    def contact(self, client: Dm3Client) -> str:
        """The address that stands for a native client."""
        return f"{client.name}@{self.server.component}"

    def name_of(self, person: XmppUser) -> EnsName:
        """The sub-name of a human."""
        local, _, server = person.jid.partition("@")
        return EnsName(f"{local}.{server}.xmpp.gw.eth")


def words(received: Received) -> str:
    """The text without the notice that a first message carries."""
    return (received.message.text or "").partition("\n\n-- \n")[0]


def xmpp_adapter(folder: Path, server: XmppServer, settings: Mapping[str, Any] | None = None) -> XmppAdapter:
    """An adapter for a server; its secret is in a file of ``folder``."""
    secret = folder / "xmpp.secret"
    secret.write_text(server.secret)
    return XmppAdapter(
        XmppSettings(
            component=server.component,
            host=server.host,
            port=server.component_port,
            secret_file=secret,
            **(settings or {}),
        )
    )


@asynccontextmanager
async def xmpp_world(
    folder: Path,
    server: XmppServer,
    *,
    settings: Mapping[str, Any] | None = None,
    overrides: Mapping[str, str] | None = None,
) -> AsyncIterator[XmppWorld]:
    """A gateway for a server that runs already; ``settings`` are further keys of ``[adapters.xmpp]``.

    ``overrides`` are settings of the gateway, as its environment holds them.
    """
    async with AsyncExitStack() as stack:
        adapter = xmpp_adapter(folder, server, settings)
        house = await stack.enter_async_context(
            running_house(
                folder / "house", adapters={adapter.name: adapter}, overrides={**WITHOUT_RATES, **(overrides or {})}
            )
        )

        async def connected() -> bool | None:
            return adapter.connected or None

        await until(connected)
        yield XmppWorld(house=house, server=server, adapter=adapter)
