"""A server for one external component (XEP-0114) that says whatever a test wants: what real ones never send on."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from gateway.demo.matrix_sync import Feed
from gateway.demo.xmpp_stanza import Stanza, element

HOST = "127.0.0.1"
DOMAIN = "evil.example"
COMPONENT = f"dm3.{DOMAIN}"
SECRET = "a secret"
STREAMS = "http://etherx.jabber.org/streams"
HEAD = f"<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='{STREAMS}' "


class ComponentServer:
    """Answers pings, and everything else only by ``say``; `heard` has all stanzas of the component."""

    def __init__(self) -> None:
        self.heard: Feed[Stanza] = Feed("stanzas")
        self.connections = 0
        self.answers: Callable[[Stanza], str] = pong
        self._writer: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """Where the component connects to."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def say(self, xml: str) -> None:
        """Put XML into the stream."""
        assert self._writer is not None
        self._writer.write(xml.encode("utf-8", "surrogatepass"))

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, HOST, 0)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        if self._writer is not None:
            self._writer.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parser: Any = ElementTree.XMLPullParser(("start", "end"))
        depth, stream_id = 0, secrets.token_hex(8)
        try:
            while data := await reader.read(65536):
                parser.feed(data)
                for event, xml in parser.read_events():
                    assert isinstance(xml, Element)
                    depth += 1 if event == "start" else -1
                    if event == "start" and depth == 1:
                        self._writer = writer
                        self.say(f"{HEAD}from='{COMPONENT}' id='{stream_id}'>")
                    elif event == "end" and depth == 1:
                        self._take(Stanza(xml), stream_id)
                    elif event == "end" and depth == 0:
                        self.say("</stream:stream>")
                        return
        except (ConnectionError, ElementTree.ParseError):
            pass
        finally:
            writer.close()

    def _take(self, stanza: Stanza, stream_id: str) -> None:
        if stanza.name == "handshake":
            assert stanza.xml.text == hashlib.sha1((stream_id + SECRET).encode()).hexdigest()
            self.connections += 1
            self.say("<handshake/>")
            return
        if answer := self.answers(stanza):
            self.say(answer)
        self.heard.add(stanza)


def condition(stanza: Stanza) -> str:
    """Why something was refused; "" for what is no error."""
    error = stanza.find("error")
    return "" if error is None or stanza.type != "error" else error[0].tag.rpartition("}")[2]


def pong(stanza: Stanza) -> str:
    """What the component needs to know that it was heard."""
    if stanza.type != "get" or not stanza.has("ping"):
        return ""
    return element("iq", {"type": "result", "id": stanza.id, "from": stanza.to, "to": stanza.sender})


@asynccontextmanager
async def component_server() -> AsyncIterator[ComponentServer]:
    """Runs while it is entered."""
    server = ComponentServer()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
