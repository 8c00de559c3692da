"""A human's stream to an XMPP server: who logs in, what was heard, and questions with their answers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, Self
from xml.etree.ElementTree import Element

from gateway.demo.matrix_sync import Feed
from gateway.demo.xmpp_stanza import STANZAS, Stanza, XmppFault, element

if TYPE_CHECKING:
    from gateway.demo.xmpp_connection import XmppConnection

SECONDS: Final = 30.0
"""How long something is waited for."""


class XmppStream:
    """One resource of one account. Every method that sends raises ConnectionError when the stream is not there."""

    def __init__(
        self,
        jid: str,
        password: str,
        *,
        host: str,
        port: int,
        resource: str | None = None,
        features: Iterable[str] = (),
    ) -> None:
        """`jid` is bare. `features` are told to those who ask (XEP-0030); without a `resource` one is made up."""
        self.jid = jid
        """Bare address."""
        self.resource = resource or uuid.uuid4().hex[:8]
        self.messages: Feed[Stanza] = Feed("messages")
        """All that came, errors too, in this order, of all connections."""
        self.presences: Feed[Stanza] = Feed("presences")
        self.iqs: Feed[Stanza] = Feed("iqs")
        """Questions and answers."""
        self._password = password
        self._address = (host, port)
        self._features = tuple(features)
        self._connection: XmppConnection | None = None
        self._asked: dict[str, asyncio.Future[Stanza]] = {}
        self._ended = asyncio.Event()

    @property
    def domain(self) -> str:
        """Of the server."""
        return self.jid.partition("@")[2]

    @property
    def full_jid(self) -> str:
        """Address with the resource."""
        return f"{self.jid}/{self.resource}"

    @property
    def connected(self) -> bool:
        """True while the stream is there, as far as this side knows."""
        return self._connection is not None and not self._ended.is_set()

    async def connect(self, *, available: bool = True) -> Self:
        """Log in, ask for the roster as clients do, and be `available`; also again after the stream was lost.

        Raises XmppFault when the server refuses (``not-authorized``), and ConnectionError or TimeoutError when it does
        not answer.
        """
        from gateway.demo.xmpp_connection import XmppConnection

        await self.disconnect()
        connection = XmppConnection(self.full_jid, self._password, self._features, self._take, self._lost)
        self._connection, self._ended = connection, asyncio.Event()
        try:
            async with asyncio.timeout(SECONDS):
                self.resource = await connection.begin(*self._address)
                # Whoever has not asked for the roster is not told of its changes (RFC 6121, 2.2).
                await self.iq(None, element("query", {"xmlns": "jabber:iq:roster"}))
        except BaseException:
            await self.disconnect()
            raise
        if available:
            self.send_raw("<presence/>")
        return self

    async def disconnect(self, *, orderly: bool = True) -> None:
        """Leave, and be there again with ``connect``; not `orderly`: without a word, as when the network breaks."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.end(orderly)
        self._lost()

    async def close(self) -> None:
        """Leave for good; waiting fails from now on for what has not come."""
        await self.disconnect()
        for feed in (self.messages, self.presences, self.iqs):
            feed.fail(RuntimeError("this user no longer listens"))

    async def __aenter__(self) -> Self:
        if self._connection is None:
            await self.connect()
        return self

    async def __aexit__(self, *ended: object) -> None:
        await self.close()

    async def wait_lost(self, seconds: float = SECONDS) -> None:
        """Return when the stream has ended, whoever ended it."""
        async with asyncio.timeout(seconds):
            await self._ended.wait()

    def send_raw(self, xml: str) -> None:
        """Put text into the stream as it is: stanzas mostly, anything to provoke faults."""
        if self._connection is None or not self.connected:
            raise ConnectionError(f"{self.jid} has no stream")
        self._connection.send_raw(xml)

    async def iq(
        self, to: str | None, query: str, kind: str = "get", *, id: str | None = None, seconds: float = SECONDS
    ) -> Element:
        """Ask with one child as text; the answer's ``iq`` element (RFC 6120, 8.2.3). Without `to` asks the own account.

        Raises XmppFault when the answer is an error, ConnectionError when the stream ends first, TimeoutError.
        """
        key = id or uuid.uuid4().hex
        answer = self._asked[key] = asyncio.get_running_loop().create_future()
        try:
            self.send_raw(element("iq", {"type": kind, "id": key, "to": to}, query))
            async with asyncio.timeout(seconds):
                found: Stanza = await answer
        except TimeoutError:
            raise TimeoutError(f"no answer of {to or self.jid} after {seconds} s to {query}") from None
        finally:
            del self._asked[key]
        if found.type == "error":
            raise found.fault or XmppFault("undefined-condition")
        return found.xml

    def refuse(self, stanza: Stanza, condition: str, kind: str = "cancel") -> None:
        """Answer a stanza with an error (RFC 6120, 8.3)."""
        error = element("error", {"type": kind}, element(condition, {"xmlns": STANZAS}))
        self.send_raw(element(stanza.name, {"type": "error", "id": stanza.id, "to": stanza.sender or None}, error))

    async def wait_message(self, wanted: Callable[[Stanza], object], seconds: float = SECONDS) -> Stanza:
        """The first message, of before or to come, that is `wanted`, from anybody and of any type.

        TimeoutError when none comes, with the last ones that did.
        """
        return await self.messages.first(wanted, seconds)

    async def wait_presence(self, wanted: Callable[[Stanza], object], seconds: float = SECONDS) -> Stanza:
        """The first presence that is `wanted`, like ``wait_message``."""
        return await self.presences.first(wanted, seconds)

    async def wait_iq(self, wanted: Callable[[Stanza], object], seconds: float = SECONDS) -> Stanza:
        """The first iq that is `wanted`, like ``wait_message``; what nobody here knows was answered with an error."""
        return await self.iqs.first(wanted, seconds)

    def _take(self, stanza: Stanza) -> None:
        if stanza.name == "message":
            self.messages.add(stanza)
        elif stanza.name == "presence":
            self.presences.add(stanza)
        else:
            self.iqs.add(stanza)
            asked = self._asked.get(stanza.id) if stanza.type in ("result", "error") else None
            if asked is not None and not asked.done():
                asked.set_result(stanza)

    def _lost(self) -> None:
        self._ended.set()
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(ConnectionError(f"the stream of {self.jid} ended"))
