"""An external component in a page (XEP-0114): what a server and a human do, without a library on the other side."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any, Self
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from gateway.demo.matrix_sync import Feed
from gateway.demo.xmpp_server import XmppServer
from gateway.demo.xmpp_stanza import Stanza

# XEP-0114, section 3.
STREAM = "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='{to}'>"


class RawComponent:
    """Connected while it is entered; `answer` makes the XML that is said to each stanza."""

    def __init__(
        self, server: XmppServer, answer: Callable[[Stanza], str] = lambda stanza: "", secret: str = ""
    ) -> None:
        self.heard: Feed[Stanza] = Feed("stanzas")
        self._server = server
        self._secret = secret or server.secret
        self._answer = answer
        self._parser: Any = ElementTree.XMLPullParser(("start", "end"))

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(self._server.host, self._server.component_port)
        self.say(STREAM.format(to=self._server.component))
        self._open = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._listen())
        try:
            await self._open
        except BaseException:
            await self._leave()
            raise
        return self

    async def __aexit__(self, *ended: object) -> None:
        self.say("</stream:stream>")
        await self._leave()

    def say(self, xml: str) -> None:
        """Put XML into the stream."""
        self._writer.write(xml.encode())

    async def _leave(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)

    async def _listen(self) -> None:
        depth = 0
        while data := await self._reader.read(65536):
            self._parser.feed(data)
            for event, xml in self._parser.read_events():
                assert isinstance(xml, Element)
                depth += 1 if event == "start" else -1
                if event == "start" and depth == 1:
                    proof = hashlib.sha1((xml.get("id", "") + self._secret).encode()).hexdigest()
                    self.say(f"<handshake>{proof}</handshake>")
                elif event == "end" and depth == 1:
                    self._take(Stanza(xml))
        if not self._open.done():
            self._open.set_exception(ConnectionError("the server ended the stream"))

    def _take(self, stanza: Stanza) -> None:
        if stanza.name == "handshake":
            self._open.set_result(None)
        elif stanza.name == "error":
            self._open.set_exception(PermissionError(str(stanza)))
        else:
            self.say(self._answer(stanza))
            self.heard.add(stanza)
