"""The servers of other networks beside the demo's gateway, which take seconds to start."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Self

from gateway.demo.homeserver import Homeserver, MatrixSide, OthersHomeserver, OwnHomeserver, populated
from gateway.demo.options import DemoOptions
from gateway.demo.xmpp_side import OthersXmppHost, OwnXmppHost, XmppHost, XmppSide, inhabited


class Peers:
    """Those that take part; a context that ends them, whatever happens."""

    def __init__(self, options: DemoOptions, gateway_url: str) -> None:
        """Chooses ports and secrets, and reads what the caller gives; raises ConfigError."""
        self._ending = AsyncExitStack()
        self._starting: list[asyncio.Task[None]] = []
        self._homeserver: Homeserver | None = None
        self._xmpp: XmppHost | None = None
        if "matrix" in options.peers:
            given = options.homeserver
            if given is None:
                self._homeserver = OwnHomeserver(options.folder, gateway_url)
            else:
                self._homeserver = OthersHomeserver(given, options.folder, gateway_url)
            self._ending.push_async_callback(self._homeserver.close)
        if "xmpp" in options.peers:
            server = options.xmpp
            self._xmpp = OwnXmppHost(options.folder) if server is None else OthersXmppHost(server, options.folder)
            self._ending.push_async_callback(self._xmpp.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *ended: object) -> None:
        for each in self._starting:
            each.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        await self._ending.aclose()

    @property
    def tables(self) -> Mapping[str, Mapping[str, Any]]:
        """``[adapters.<name>]`` for the gateway."""
        tables: dict[str, Mapping[str, Any]] = {}
        if self._homeserver is not None:
            tables["matrix"] = self._homeserver.table
        if self._xmpp is not None:
            tables["xmpp"] = self._xmpp.table
        return tables

    def start(self) -> None:
        """Begin, once the installation is written; all at the same time, and while the gateway opens."""
        for each in (self._homeserver, self._xmpp):
            if each is not None:
                self._starting.append(asyncio.create_task(each.start(), name=type(each).__name__))

    async def started(self) -> None:
        """Return when all are there; raises ConfigError."""
        for each in self._starting:
            await each

    async def matrix(self) -> MatrixSide | None:
        """With its people, once the gateway serves."""
        return None if self._homeserver is None else await populated(self._homeserver)

    async def xmpp(self) -> XmppSide | None:
        """The same for XMPP."""
        return None if self._xmpp is None else await inhabited(self._xmpp)
